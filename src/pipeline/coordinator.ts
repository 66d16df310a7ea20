/** The coordinator: fills slots, leads each from stage to stage, and gives micro-batches back in input order. */
import type { Arena } from '../arena/arena.js';
import type { Slot } from '../arena/slot.js';
import { TandemError } from '../errors.js';
import type { Pool } from '../pool/pool.js';
import { micros, type Ran } from '../pool/protocol.js';
import { type Feed, firstRows, type MicroBatch, zeroRowsFrom } from './micro-batch.js';
import type { Timeline } from './timeline.js';

export interface CoordinatorOptions {
  readonly arena: Arena;
  readonly pools: readonly Pool[];
  /** Graph inputs and outputs, in the model's order. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The rows that every micro-batch must have, when the model fixes them; shorter ones are padded. */
  readonly fixedRows: number | null;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  /**
   * Runs the feed dry. Slots are filled as fast as they come free; each micro-batch then follows its own readiness, so any
   * stage works whenever something lies ready for it. A failure is thrown in order, after the micro-batches before it.
   */
  async *run(feed: Feed, timeline: Timeline): AsyncGenerator<MicroBatch> {
    const line = new Line<Flight>();
    const stop = { asked: false };
    const filling = this.#fillSlots(feed, timeline, line, stop).then(
      () => line.end(),
      (error) => line.end(error),
    );
    let current: Flight | undefined;
    try {
      for await (current of line) {
        await current.landed;
        yield this.#result(current.slot);
        this.#options.arena.release(current.slot);
        current = undefined;
      }
    } finally {
      stop.asked = true;
      await this.#settle(current ? [current] : []);
      await this.#settle(line.takeAll());
      await filling;
      await this.#settle(line.takeAll());
    }
  }

  async #fillSlots(feed: Feed, timeline: Timeline, line: Line<Flight>, stop: { asked: boolean }): Promise<void> {
    const { arena, inputs, fixedRows } = this.#options;
    const regions = inputs.map((name) => arena.region(name));
    for (let microBatch = 0; ; microBatch++) {
      const slot = await arena.claim();
      let rows = 0;
      try {
        const rooms = regions.map((region) => slot.room(region));
        rows = stop.asked ? 0 : await feed.fill(rooms);
        if (rows > 0 && fixedRows !== null) for (const room of rooms) zeroRowsFrom(room, rows);
      } finally {
        if (rows === 0) arena.release(slot);
      }
      if (rows === 0) return;
      for (const region of regions) slot.setDims(region, [fixedRows ?? rows, ...region.shape.slice(1)]);
      arena.flush(slot, regions);
      slot.publish(microBatch, rows);
      const landed = this.#fly(slot, timeline);
      // The consumer meets a failure when its turn comes; until then it must not count as unhandled.
      landed.catch(() => {});
      line.push({ slot, landed });
    }
  }

  /**
   * One micro-batch's way through all stages. Where workers wait for slots themselves every stage is asked at once, and
   * the slot goes from worker to worker; else each is asked when the one before is done. Settles when all have answered.
   */
  async #fly(slot: Slot, timeline: Timeline): Promise<void> {
    const publishedAt = micros();
    const { microBatch, rows } = slot;
    let before: Promise<Ran> | undefined;
    const runs = this.#options.pools.map((pool, stage) => {
      before = this.#runStage(slot, stage, pool, before);
      return before;
    });
    await Promise.allSettled(runs);
    let readyAt = publishedAt;
    for (const [stage, run] of runs.entries()) {
      const { worker, acceptedAt, finishedAt } = await run;
      timeline.record({ stage, worker, microBatch, rows, readyAt, acceptedAt, finishedAt });
      readyAt = finishedAt;
    }
  }

  /** `before` is the run of the stage before. A run that failed leaves the slot FAILED, so that no later stage waits for it. */
  async #runStage(slot: Slot, stage: number, pool: Pool, before: Promise<Ran> | undefined): Promise<Ran> {
    if (!pool.waitsForSlots) await before;
    for (;;) {
      const ran = await pool.run(slot.index).catch((error) => this.#afterError(slot, stage, error, before));
      if (ran) return ran;
      await before;
    }
  }

  /** What became of a run that threw; `null` says that it is to be tried again. */
  async #afterError(slot: Slot, stage: number, error: unknown, before: Promise<Ran> | undefined): Promise<Ran | null> {
    if (error instanceof TandemError && error.code === 'TANDEM_STAGE_DIED') return this.#afterDeath(slot, stage, error);
    await before?.catch(() => {});
    this.#fail(slot, stage);
    throw error;
  }

  /** A worker that dies has written nothing but its own outputs, so the stage can simply be run again; `null` says that it must be. */
  async #afterDeath(slot: Slot, stage: number, death: TandemError): Promise<Ran | null> {
    const pool = this.#options.pools[stage]!;
    await pool.revive(death).catch((error) => {
      this.#fail(slot, stage);
      throw error;
    });
    const { state, stage: at } = slot.state;
    // It had finished and given the slot away; only its word of it was lost.
    if (state === 'DONE' || at > stage) {
      const now = micros();
      return { worker: 0, acceptedAt: now, finishedAt: now };
    }
    if (at === stage && state !== 'READY') {
      this.#fail(slot, stage);
      slot.retry(stage);
    }
    return null;
  }

  #fail(slot: Slot, stage: number): void {
    const { state, stage: at } = slot.state;
    if (at === stage && (state === 'READY' || state === 'RUNNING')) slot.fail(stage);
  }

  #result(slot: Slot): MicroBatch {
    const { arena, outputs, fixedRows } = this.#options;
    const { rows, microBatch } = slot;
    const regions = outputs.map((name) => arena.region(name));
    // A graph input that is also an output has never left this process, and flushed it was all the same.
    arena.fetch(slot, regions);
    const tensors = outputs.map((name, n) => {
      const tensor = slot.tensor(regions[n]!);
      return [name, fixedRows === null ? tensor : firstRows(tensor, rows)] as const;
    });
    return { index: microBatch, rows, outputs: new Map(tensors) };
  }

  /** Lets flights that nobody will read come to rest and frees their slots, so that the pipeline can be run again. */
  async #settle(flights: readonly Flight[]): Promise<void> {
    for (const { slot, landed } of flights) {
      await landed.catch(() => {});
      this.#fail(slot, slot.state.stage);
      this.#options.arena.release(slot);
    }
  }
}

interface Flight {
  readonly slot: Slot;
  /** Settles when it has been through all stages. */
  readonly landed: Promise<void>;
}

/** A queue between one producer and one consumer; unbounded, because slots bound it. */
class Line<T> implements AsyncIterable<T> {
  readonly #items: T[] = [];
  #ended: { error?: unknown } | undefined;
  #wake = () => {};

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  end(error?: unknown): void {
    this.#ended = error === undefined ? {} : { error };
    this.#wake();
  }

  takeAll(): T[] {
    return this.#items.splice(0);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) yield item;
      else if (this.#ended) {
        if ('error' in this.#ended) throw this.#ended.error;
        return;
      } else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }
}
