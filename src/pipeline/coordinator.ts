/** The coordinator: fills slots, leads each from stage to stage, and gives micro-batches back in input order. */
import type { Arena } from '../arena/arena.js';
import type { Region } from '../arena/layout.js';
import type { Slot } from '../arena/slot.js';
import { asTandemError, type ErrorCode, type TandemError } from '../errors.js';
import type { Pool } from '../pool/pool.js';
import { micros } from '../pool/protocol.js';
import { Line } from './line.js';
import { type Feed, firstRows, keepRows, type MicroBatch, zeroRowsFrom } from './micro-batch.js';
import { type Attempt, findPoison } from './poison.js';
import type { Relief } from './relief.js';
import type { ThreadSpan, Timeline } from './timeline.js';

export interface CoordinatorOptions {
  readonly arena: Arena;
  readonly pools: readonly Pool[];
  /** Graph inputs and outputs, in the model's order. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** The rows that every micro-batch must have, when the model fixes them; shorter ones are padded. */
  readonly fixedRows: number | null;
  /** For stages that run out of memory. */
  readonly relief: Relief;
}

/** Failures after which workers are gone. */
const LOST: ReadonlySet<ErrorCode> = new Set(['TANDEM_STAGE_DIED', 'TANDEM_STAGE_TIMEOUT']);
/** Failures that a row may have caused. */
const OF_ROWS: ReadonlySet<ErrorCode> = new Set([
  ...LOST,
  'TANDEM_ENGINE_FAILED',
  'TANDEM_STAGE_FAILED',
  'TANDEM_OUT_OF_MEMORY',
]);

const NO_ROWS: ReadonlyMap<number, TandemError> = new Map();

/** One run of a feed: what its two ends share. */
interface Run {
  readonly timeline: Timeline;
  /** Micro-batches in flight, oldest first, without the one that the consumer has. */
  readonly line: Line<Flight>;
  stopped: boolean;
  /** Set while nothing may be published; settles when it may. */
  pause: Promise<void> | undefined;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  /**
   * Runs the feed dry. Slots are filled as fast as they come free; each micro-batch then follows its own readiness, so any
   * stage works whenever something lies ready for it. One that fails is run again alone, once its turn has come; a failure
   * that is not its rows' is thrown in order, after the micro-batches before it.
   */
  async *run(feed: Feed, timeline: Timeline): AsyncGenerator<MicroBatch> {
    const run: Run = { timeline, line: new Line<Flight>(), stopped: false, pause: undefined };
    const { line } = run;
    const filling = this.#fillSlots(feed, run).then(
      () => line.end(),
      (error) => line.end(error),
    );
    let current: Flight | undefined;
    try {
      for (;;) {
        current = await line.next();
        if (!current) break;
        yield await this.#result(current.slot, await this.#land(current, run));
        this.#options.arena.release(current.slot);
        current = undefined;
      }
    } finally {
      run.stopped = true;
      await this.#settle(current ? [current] : []);
      await this.#settle(line.takeAll());
      await filling;
      await this.#settle(line.takeAll());
    }
  }

  async #fillSlots(feed: Feed, run: Run): Promise<void> {
    const { arena, fixedRows } = this.#options;
    const regions = this.#inputRegions();
    for (let microBatch = 0; ; microBatch++) {
      const slot = await arena.claim();
      let rows = 0;
      try {
        const rooms = regions.map((region) => slot.room(region));
        rows = run.stopped ? 0 : await feed.fill(rooms);
        if (rows > 0 && fixedRows !== null) for (const room of rooms) zeroRowsFrom(room, rows);
      } finally {
        if (rows === 0) arena.release(slot);
      }
      if (rows === 0) return;
      while (run.pause) await run.pause;
      for (const region of regions) slot.setDims(region, [fixedRows ?? rows, ...region.shape.slice(1)]);
      const landed = this.#publish(slot, microBatch, rows);
      // The consumer meets a failure when its turn comes; until then it must not count as unhandled.
      landed.catch(() => {});
      run.line.push({ slot, landed, reliefs: this.#options.relief.count });
    }
  }

  /** Sends a slot off that holds its inputs. */
  #publish(slot: Slot, microBatch: number, rows: number): Promise<ThreadSpan[]> {
    this.#options.arena.flush(slot, this.#inputRegions());
    const publishedAt = micros();
    slot.publish(microBatch, rows);
    return this.#fly(slot, publishedAt);
  }

  /** One micro-batch's way through all stages, which find it by themselves. A failure leaves the pool fit for the next. */
  async #fly(slot: Slot, publishedAt: number): Promise<ThreadSpan[]> {
    const { arena, pools } = this.#options;
    await arena.settled(slot);
    const { state, stage } = slot.state;
    if (state === 'FAILED') {
      const failure = pools[stage]!.failureOf(slot.index);
      // A pool that cannot be brought back has ended, and tells why at the next micro-batch.
      if (LOST.has(failure.code)) await pools[stage]!.revive().catch(() => {});
      throw failure;
    }
    return this.#spansOf(slot, publishedAt);
  }

  #spansOf(slot: Slot, publishedAt: number): ThreadSpan[] {
    const { microBatch, rows } = slot;
    let readyAt = publishedAt;
    return this.#options.pools.map((_, stage) => {
      const { worker: thread, acceptedAt, finishedAt } = slot.ran(stage);
      const span = { stage, thread, microBatch, rows, readyAt, acceptedAt, finishedAt };
      readyAt = finishedAt;
      return span;
    });
  }

  /** Settles when the micro-batch is through, at the first try or alone; resolves to the rows that could not be computed. */
  async #land({ slot, landed, reliefs }: Flight, run: Run): Promise<ReadonlyMap<number, TandemError>> {
    const { relief } = this.#options;
    let failure: TandemError;
    try {
      for (const span of await landed) run.timeline.record(span);
      return NO_ROWS;
    } catch (error) {
      failure = asTandemError(error);
      if (!OF_ROWS.has(failure.code)) throw error;
    }
    let resume = () => {};
    run.pause = new Promise((resolve) => {
      resume = resolve;
    });
    try {
      await Promise.allSettled(run.line.items.map((flight) => flight.landed));
      // Unless the stage has been relieved since.
      if (isStarved(failure) && reliefs === relief.count) await relief.give(slot.state.stage);
      return await this.#runAlone(slot, run.timeline);
    } finally {
      run.pause = undefined;
      resume();
    }
  }

  /**
   * Runs a micro-batch that failed again, with nothing else in flight, so that no other can be the reason. The rows that
   * cannot be computed are found and put to zero; all others come out as they would beside zeros.
   */
  async #runAlone(slot: Slot, timeline: Timeline): Promise<ReadonlyMap<number, TandemError>> {
    const { microBatch, rows } = slot;
    const tensors = this.#inputRegions().map((region) => slot.tensor(region));
    const values = tensors.map(({ data }) => data.slice());
    let spans: readonly ThreadSpan[] = [];
    const attempt: Attempt = async (kept) => {
      slot.refill();
      for (const [n, tensor] of tensors.entries()) keepRows(tensor, values[n]!, kept);
      try {
        spans = await this.#publish(slot, microBatch, rows);
        return null;
      } catch (error) {
        const failure = asTandemError(error);
        if (!OF_ROWS.has(failure.code)) throw failure;
        return isStarved(failure) && (await this.#options.relief.give(slot.state.stage)) ? attempt(kept) : failure;
      }
    };
    const failed = await findPoison(rows, attempt);
    // The last attempt is the one that counts.
    for (const span of spans) timeline.record(span);
    return failed;
  }

  #inputRegions(): Region[] {
    const { arena, inputs } = this.#options;
    return inputs.map((name) => arena.region(name));
  }

  async #result(slot: Slot, failed: ReadonlyMap<number, TandemError>): Promise<MicroBatch> {
    const { arena, outputs, fixedRows } = this.#options;
    const { rows, microBatch } = slot;
    const regions = outputs.map((name) => arena.region(name));
    // A graph input that is also an output has never left this process, and flushed it was all the same.
    await arena.fetch(slot, regions);
    const tensors = outputs.map((name, n) => {
      const tensor = slot.tensor(regions[n]!);
      return [name, fixedRows === null ? tensor : firstRows(tensor, rows)] as const;
    });
    return { index: microBatch, rows, outputs: new Map(tensors), failed };
  }

  /** Lets flights that nobody will read come to rest and frees their slots, so that the pipeline can be run again. */
  async #settle(flights: readonly Flight[]): Promise<void> {
    for (const { slot, landed } of flights) {
      await landed.catch(() => {});
      this.#options.arena.release(slot);
    }
  }
}

function isStarved({ code }: TandemError): boolean {
  return code === 'TANDEM_OUT_OF_MEMORY';
}

interface Flight {
  readonly slot: Slot;
  /** How often a stage had been relieved when it was published. */
  readonly reliefs: number;
  /** Settles when it has been through all stages. */
  readonly landed: Promise<ThreadSpan[]>;
}
