/** The coordinator: fills slots, leads each from stage to stage, and gives micro-batches back in input order. */
import type { Arena } from '../arena/arena.js';
import type { Region } from '../arena/layout.js';
import type { Slot } from '../arena/slot.js';
import type { Section } from '../arena/turns.js';
import type { ErrorCode, TandemError } from '../errors.js';
import type { Pool } from '../pool/pool.js';
import { micros } from '../pool/protocol.js';
import type { Tensor } from '../tensor.js';
import { Line } from './line.js';
import { type Feed, firstRows, keepRows, type MicroBatch, zeroRowsFrom } from './micro-batch.js';
import { type Attempt, findPoison } from './poison.js';
import type { Relief } from './relief.js';
import type { Timeline } from './timeline.js';

export interface CoordinatorOptions {
  readonly arena: Arena;
  /** Of each stage. */
  readonly pools: readonly Pool[];
  /** What the arena calls stages: those of the plan that stand beside each other are one there. */
  readonly sections: readonly Section[];
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
  /** Micro-batches in flight, oldest first, without the one that the consumer has. */
  readonly line: Line<Flight>;
  stopped: boolean;
  /** Set while nothing may be published; settles when it may. */
  pause: Promise<void> | undefined;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #inputs: readonly Region[];
  readonly #outputs: readonly Region[];

  constructor(options: CoordinatorOptions) {
    const { arena, inputs, outputs } = options;
    this.#options = options;
    this.#inputs = inputs.map((name) => arena.region(name));
    this.#outputs = outputs.map((name) => arena.region(name));
  }

  /**
   * Runs the feed dry. Slots are filled as fast as they come free; each micro-batch then follows its own readiness, so any
   * stage works whenever something lies ready for it. One that fails is run again alone, once its turn has come; a failure
   * that is not its rows' is thrown in order, after the micro-batches before it. `first` is the number of the first micro-batch.
   */
  async *run(feed: Feed, timeline: Timeline, first = 0): AsyncGenerator<MicroBatch> {
    const { arena } = this.#options;
    const line = new Line<Flight>();
    const run: Run = { line, stopped: false, pause: undefined };
    const filling = this.#fillSlots(feed, run, first).then(
      () => line.end(),
      (error) => line.end(error),
    );
    let current: Flight | undefined;
    const awake = keepAwake();
    try {
      for (;;) {
        current = line.shift() ?? (await line.next());
        if (!current) break;
        const failure = (await current.takeoff.landed) ?? arena.closed;
        const failed = failure ? await this.#runAgain(current, failure, run) : NO_ROWS;
        this.#record(current, timeline);
        yield this.#result(current.slot, failed);
        arena.release(current.slot);
        current = undefined;
      }
    } finally {
      run.stopped = true;
      await this.#settle(current ? [current] : []);
      await this.#settle(line.takeAll());
      await filling;
      await this.#settle(line.takeAll());
      clearInterval(awake);
    }
  }

  async #fillSlots(feed: Feed, run: Run, first: number): Promise<void> {
    const { arena, fixedRows, relief } = this.#options;
    for (let microBatch = first; ; microBatch++) {
      const slot = await arena.claim();
      let takeoff: Takeoff | undefined;
      try {
        const rooms = this.#inputs.map((region) => slot.tensors.room(region));
        const rows = run.stopped ? 0 : await feed.fill(rooms);
        if (rows === 0) return;
        if (fixedRows !== null) for (const room of rooms) zeroRowsFrom(room, rows);
        while (run.pause) await run.pause;
        for (const region of this.#inputs) slot.tensors.setRows(region, fixedRows ?? rows);
        takeoff = this.#publish(slot, microBatch, rows);
        run.line.push({ slot, reliefs: relief.count, takeoff });
      } finally {
        if (!takeoff) arena.release(slot);
      }
    }
  }

  /** Sends a slot off that holds its inputs. The stages find it by themselves. Throws why the arena has been closed. */
  #publish(slot: Slot, microBatch: number, rows: number): Takeoff {
    const { arena } = this.#options;
    this.#holdOpen();
    const publishedAt = micros();
    slot.publish(microBatch, rows);
    const landed = new Promise<TandemError | null>((resolve) => {
      arena.whenSettled(slot, () => resolve(arena.closed ?? (slot.isDone ? null : this.#failureOf(slot))));
    });
    return { publishedAt, landed };
  }

  #holdOpen(): void {
    const { closed } = this.#options.arena;
    if (closed) throw closed;
  }

  /** What a stage has failed of, once its pool is fit for the next micro-batch. */
  async #failureOf(slot: Slot): Promise<TandemError> {
    const pool = this.#options.pools[this.#stageOf(slot)]!;
    const failure = pool.failureOf(slot.index);
    // A pool that cannot be brought back has ended, and tells why at the next micro-batch.
    if (LOST.has(failure.code)) await pool.revive().catch(() => {});
    return failure;
  }

  /** Whose turn a micro-batch is in one of the arena's stages; without it, in that which it is in. */
  #stageOf(slot: Slot, section = slot.state.stage): number {
    return this.#options.sections[section]!.stages[slot.turn(section)]!;
  }

  #record({ slot, takeoff }: Flight, timeline: Timeline): void {
    const { microBatch, rows } = slot;
    let readyAt = takeoff.publishedAt;
    for (let section = 0; section < this.#options.sections.length; section++) {
      const { worker: thread, acceptedAt, finishedAt } = slot.ran(section);
      timeline.record({
        stage: this.#stageOf(slot, section),
        thread,
        microBatch,
        rows,
        readyAt,
        acceptedAt,
        finishedAt,
      });
      readyAt = finishedAt;
    }
  }

  /** Once a micro-batch that failed has its turn: the rows of it that cannot be computed. Throws what is not its rows' doing. */
  async #runAgain(flight: Flight, failure: TandemError, run: Run): Promise<ReadonlyMap<number, TandemError>> {
    if (!OF_ROWS.has(failure.code)) throw failure;
    const { relief } = this.#options;
    let resume = () => {};
    run.pause = new Promise((resolve) => {
      resume = resolve;
    });
    try {
      await Promise.all(run.line.items.map(({ takeoff }) => takeoff.landed));
      // Unless the stage has been relieved since.
      if (isStarved(failure) && flight.reliefs === relief.count) await relief.give(this.#stageOf(flight.slot));
      return await this.#runAlone(flight);
    } finally {
      run.pause = undefined;
      resume();
    }
  }

  /**
   * Runs a micro-batch that failed again, with nothing else in flight, so that no other can be the reason. The rows that
   * cannot be computed are found and put to zero; all others come out as they would beside zeros.
   */
  async #runAlone(flight: Flight): Promise<ReadonlyMap<number, TandemError>> {
    const { slot } = flight;
    const { microBatch, rows } = slot;
    const tensors = this.#inputs.map((region) => slot.tensors.at(region));
    const values = tensors.map(({ data }) => data.slice());
    const attempt: Attempt = async (kept) => {
      this.#holdOpen();
      slot.refill();
      for (const [n, tensor] of tensors.entries()) keepRows(tensor, values[n]!, kept);
      flight.takeoff = this.#publish(slot, microBatch, rows);
      const failure = await flight.takeoff.landed;
      if (!failure) return null;
      if (!OF_ROWS.has(failure.code)) throw failure;
      return isStarved(failure) && (await this.#options.relief.give(this.#stageOf(slot))) ? attempt(kept) : failure;
    };
    return findPoison(rows, attempt);
  }

  #result(slot: Slot, failed: ReadonlyMap<number, TandemError>): MicroBatch {
    const { fixedRows } = this.#options;
    const { rows, microBatch } = slot;
    const outputs = new Map<string, Tensor>();
    for (const region of this.#outputs) {
      const tensor = slot.tensors.at(region);
      outputs.set(region.name, fixedRows === null ? tensor : firstRows(tensor, rows));
    }
    return { index: microBatch, rows, outputs, failed };
  }

  /** Lets flights that nobody will read come to rest and frees their slots, so that the pipeline can be run again. */
  async #settle(flights: readonly Flight[]): Promise<void> {
    for (const { slot, takeoff } of flights) {
      await takeoff.landed;
      this.#options.arena.release(slot);
    }
  }
}

/** Nothing that a run waits for need keep this process alive: it may come from another one. */
function keepAwake(): NodeJS.Timeout {
  return setInterval(() => {}, 2 ** 31 - 1);
}

function isStarved({ code }: TandemError): boolean {
  return code === 'TANDEM_OUT_OF_MEMORY';
}

/** One publishing of a micro-batch. */
interface Takeoff {
  /** Microseconds of the monotonic clock. */
  readonly publishedAt: number;
  /** Settles when it has been through all stages, or has failed in one and the pool is fit again; never rejects. */
  readonly landed: Promise<TandemError | null>;
}

interface Flight {
  readonly slot: Slot;
  /** How often a stage had been relieved when it was published first. */
  readonly reliefs: number;
  /** The last one, which counts. */
  takeoff: Takeoff;
}
