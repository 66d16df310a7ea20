/** The coordinator: fills slots, publishes them to the stages, and returns micro-batches in input order. */
import type { Arena } from '../arena/arena.js';
import type { Slot } from '../arena/slot.js';
import type { ErrorCode, TandemError } from '../errors.js';
import type { Pool } from '../pool/pool.js';
import { micros } from '../pool/protocol.js';
import type { Policy } from '../schedule/policy.js';
import type { Timeline } from '../timeline/timeline.js';
import { findBadRows, type Rerun } from './bad-rows.js';
import type { Attempt, Filled, Flight } from './flight.js';
import { type Feed, type MicroBatch, NOTHING, type Traits } from './micro-batch.js';
import type { OutOfMemorySplit } from './out-of-memory-split.js';
import { Queue } from './queue.js';
import type { SlotEnds } from './slot-ends.js';

export interface CoordinatorOptions {
  readonly arena: Arena;
  /** By their index in the arena's route. */
  readonly pools: readonly Pool[];
  readonly ends: SlotEnds;
  /** The order in which workers take READY slots. */
  readonly policy: Policy;
  /** Micro-batches that are published together, so that a stage that rotates sees its whole block. */
  readonly block: number;
  readonly outOfMemorySplit: OutOfMemorySplit;
}

/** Failures after which workers must be restarted. */
const LOST: ReadonlySet<ErrorCode> = new Set(['TANDEM_STAGE_DIED', 'TANDEM_STAGE_TIMEOUT']);
/** Failures that a row may have caused. */
const OF_ROWS: ReadonlySet<ErrorCode> = new Set([
  ...LOST,
  'TANDEM_ENGINE_FAILED',
  'TANDEM_STAGE_FAILED',
  'TANDEM_OUT_OF_MEMORY',
]);

const NO_TRAITS: Traits = {};

const NO_ROWS: ReadonlyMap<number, TandemError> = new Map();

/** The attempt of a micro-batch without rows. */
const NOT_ATTEMPTED: Attempt = { publishedAt: 0, settled: Promise.resolve(null) };

/** One run of a feed: what its filling and its reading side share. */
interface Run {
  /** Micro-batches in flight, oldest first, without the one that the consumer reads. */
  readonly queue: Queue<Flight>;
  readonly rowShapes: readonly (readonly number[])[] | undefined;
  stopped: boolean;
  /** Set while nothing may be published; resolves when publishing may continue. */
  pause: Promise<void> | undefined;
}

export class Coordinator {
  readonly #options: CoordinatorOptions;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  /**
   * Runs the feed to its end. Slots are filled as soon as they are free, and any stage computes whatever is READY for it. A micro-batch that
   * fails is run again alone, once all before it have come out. A failure that its rows do not cause is thrown in order, after
   * the micro-batches before it. `first` is the number of the first micro-batch. `rowShapes` are the rows' shapes unless the
   * feed gives others; default the largest.
   */
  async *run(
    feed: Feed,
    timeline: Timeline,
    first = 0,
    rowShapes?: readonly (readonly number[])[],
  ): AsyncGenerator<MicroBatch> {
    const { arena } = this.#options;
    const queue = new Queue<Flight>();
    const run: Run = { queue, rowShapes, stopped: false, pause: undefined };
    const filling = this.#fillSlots(feed, run, first).then(
      () => queue.end(),
      (error) => queue.end(error),
    );
    let current: Flight | undefined;
    const awake = keepAwake();
    try {
      for (;;) {
        current = queue.shift() ?? (await queue.next());
        if (!current) break;
        const failure = (await current.attempt.settled) ?? arena.closed;
        const failed = failure ? await this.#runAgain(current, failure, run) : NO_ROWS;
        if (!current.isEmpty) this.#record(current, timeline);
        yield current.isEmpty ? this.#noResult(current) : this.#result(current.slot, failed);
        arena.release(current.slot);
        current = undefined;
      }
    } finally {
      run.stopped = true;
      await this.#settle(current ? [current] : []);
      await this.#settle(queue.takeAll());
      await filling;
      await this.#settle(queue.takeAll());
      clearInterval(awake);
    }
  }

  async #fillSlots(feed: Feed, run: Run, first: number): Promise<void> {
    const { arena, block } = this.#options;
    const filled: Filled[] = [];
    try {
      for (let microBatch = first; ; ) {
        // A block may have more micro-batches than there are slots.
        if (filled.length === arena.slots.length) await this.#publishAll(filled, run);
        const slot = await arena.claim();
        const next = await this.#fill(slot, microBatch, feed, run);
        if (!next) break;
        filled.push(next);
        if (next.rows > 0) microBatch += 1;
        if (microBatch % block === 0) await this.#publishAll(filled, run);
      }
    } finally {
      await this.#publishAll(filled, run);
    }
  }

  /** `null` at the end of the feed. */
  async #fill(slot: Slot, microBatch: number, feed: Feed, run: Run): Promise<Filled | null> {
    const { arena, ends } = this.#options;
    let next: Filled | null = null;
    try {
      if (run.stopped) return null;
      const asked = feed.traits?.() ?? NO_TRAITS;
      const traits = asked instanceof Promise ? await asked : asked;
      const rows = run.stopped ? 0 : await feed.fill(ends.inputs(slot, traits.rowShapes ?? run.rowShapes, traits.rows));
      if (rows === 0) return null;
      next = { slot, microBatch, traits, rows: rows === NOTHING ? 0 : rows };
      return next;
    } finally {
      if (!next) arena.release(slot);
    }
  }

  /** Publishes what was filled, in order, with nothing in between. */
  async #publishAll(filled: Filled[], run: Run): Promise<void> {
    while (run.pause && filled.length > 0) await run.pause;
    const all = filled.splice(0);
    const publish = () => {
      for (const each of all) this.#publishFilled(each, run);
    };
    if (all.length > 1) this.#options.arena.together(publish);
    else publish();
  }

  #publishFilled({ slot, microBatch, traits, rows }: Filled, run: Run): void {
    const { arena, ends, outOfMemorySplit } = this.#options;
    if (run.stopped) {
      arena.release(slot);
      return;
    }
    const isEmpty = rows === 0;
    if (!isEmpty) ends.fill(slot, rows);
    const attempt = isEmpty ? NOT_ATTEMPTED : this.#publish(slot, microBatch, rows, traits);
    run.queue.push({ slot, microBatch, traits, isEmpty, splits: outOfMemorySplit.count, attempt });
  }

  /** Publishes a slot that contains its inputs. Throws the reason if the arena is closed. */
  #publish(slot: Slot, microBatch: number, rows: number, { group, rounds }: Traits): Attempt {
    const { arena, policy } = this.#options;
    this.#holdOpen();
    const publishedAt = micros();
    const rankOf = (step: number, round: number) => policy.rankOf({ microBatch, round, step });
    slot.publish(microBatch, rows, { group, rounds, rankOf });
    const settled = new Promise<TandemError | null>((resolve) => {
      arena.whenSettled(slot, () => resolve(arena.closed ?? (slot.isDone ? null : this.#failureOf(slot))));
    });
    return { publishedAt, settled };
  }

  #holdOpen(): void {
    const { closed } = this.#options.arena;
    if (closed) throw closed;
  }

  /** Why a slot failed, once its pool is ready for the next micro-batch. */
  async #failureOf(slot: Slot): Promise<TandemError> {
    const pool = this.#options.pools[poolOf(slot)]!;
    const failure = pool.failureOf(slot.index);
    // A pool that cannot be restarted has ended, and reports the reason at the next micro-batch.
    if (LOST.has(failure.code)) await pool.restart().catch(() => {});
    return failure;
  }

  #record({ slot, attempt }: Flight, timeline: Timeline): void {
    const { microBatch, rows, rounds, index } = slot;
    const { steps } = this.#options.arena.layout;
    let readyAt = attempt.publishedAt;
    for (let round = 0; round < rounds; round++) {
      for (const [step, { stage, pass }] of steps.entries()) {
        const { worker: thread, loadedFrom, acceptedAt, finishedAt } = slot.ran(step, round);
        const isLast = round + 1 === rounds && steps[step + 1]?.stage !== stage;
        const place = { pass, round, slot: index };
        const pool = slot.poolOf(step);
        const times = { readyAt, loadedFrom, acceptedAt, finishedAt };
        timeline.record({ stage: pool, place, thread, isLast, microBatch, rows, ...times });
        readyAt = finishedAt;
      }
    }
  }

  /** The rows of a failed micro-batch that cannot be computed, once it is the oldest in flight. Throws a failure that its rows do not cause. */
  async #runAgain(flight: Flight, failure: TandemError, run: Run): Promise<ReadonlyMap<number, TandemError>> {
    if (!OF_ROWS.has(failure.code)) throw failure;
    const { outOfMemorySplit } = this.#options;
    let resume = () => {};
    run.pause = new Promise((resolve) => {
      resume = resolve;
    });
    try {
      await Promise.all(run.queue.items.map(({ attempt }) => attempt.settled));
      // Unless a stage has been split since.
      if (isOutOfMemory(failure) && flight.splits === outOfMemorySplit.count)
        await outOfMemorySplit.split(poolOf(flight.slot));
      return await this.#runAlone(flight);
    } finally {
      run.pause = undefined;
      resume();
    }
  }

  /**
   * Runs a failed micro-batch again, with nothing else in flight, so that no other micro-batch can be the cause. Rows that
   * cannot be computed are found and set to zero; all others have the results that they have among zeros.
   */
  async #runAlone(flight: Flight): Promise<ReadonlyMap<number, TandemError>> {
    const { slot } = flight;
    const { microBatch, rows } = slot;
    const { ends } = this.#options;
    const values = ends.values(slot);
    const rerun: Rerun = async (kept) => {
      this.#holdOpen();
      slot.refill();
      ends.keep(slot, values, kept);
      flight.attempt = this.#publish(slot, microBatch, rows, flight.traits);
      const failure = await flight.attempt.settled;
      if (!failure) return null;
      if (!OF_ROWS.has(failure.code)) throw failure;
      return isOutOfMemory(failure) && (await this.#options.outOfMemorySplit.split(poolOf(slot)))
        ? rerun(kept)
        : failure;
    };
    return findBadRows(rows, rerun);
  }

  #result(slot: Slot, failed: ReadonlyMap<number, TandemError>): MicroBatch {
    const { rows, microBatch } = slot;
    return { index: microBatch, rows, outputs: this.#options.ends.outputs(slot), failed };
  }

  #noResult({ microBatch: index }: Flight): MicroBatch {
    return { index, rows: 0, outputs: this.#options.ends.noOutputs(), failed: NO_ROWS };
  }

  /** Waits for micro-batches that are not read any more and frees their slots, so that the pipeline can be run again. */
  async #settle(flights: readonly Flight[]): Promise<void> {
    for (const { slot, attempt } of flights) {
      await attempt.settled;
      this.#options.arena.release(slot);
    }
  }
}

/** Keeps this process alive during a run: what a run waits for may come from another process. */
function keepAwake(): NodeJS.Timeout {
  return setInterval(() => {}, 2 ** 31 - 1);
}

/** The pool in which a slot has FAILED. */
function poolOf(slot: Slot): number {
  return slot.poolOf(slot.state.step);
}

function isOutOfMemory({ code }: TandemError): boolean {
  return code === 'TANDEM_OUT_OF_MEMORY';
}
