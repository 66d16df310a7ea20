/** The generator: the schedule of m micro-batches when every visit takes one step of a clock. */
import { NO_GROUP, poolAt, workerAt } from '../arena/route.js';
import { TandemError } from '../errors.js';
import { FORWARD, type Planned, type Policy } from './policy.js';
import {
  type ComputeVisit,
  heldFromStart,
  type LoadVisit,
  movingPasses,
  roomOf,
  type ScheduleShape,
} from './schedule.js';

/** A visit that is not made yet. */
interface PendingVisit extends Planned {
  readonly pool: number;
  /** Index of the only worker that may make it; `null` if any of the pool may. */
  readonly worker: number | null;
  readonly rank: number;
}

interface InFlight {
  readonly slot: number;
  /** When it can be computed next. */
  readyAt: number;
  /** Visits that have been made. */
  made: number;
}

interface Worker {
  readonly pool: number;
  readonly worker: number;
  readonly loaded: Set<string>;
  busyUntil: number;
}

/** Visits by the time at which they begin. Throws TANDEM_PLAN_IMPOSSIBLE if a policy waits for more micro-batches than there are slots. */
export function* generateSchedule(
  shape: ScheduleShape,
  m: number,
  policy: Policy = FORWARD,
): Generator<ComputeVisit | LoadVisit> {
  const clock = new Clock(shape, m, policy);
  while (!clock.isOver) yield* clock.tick();
}

class Clock {
  readonly #shape: ScheduleShape;
  readonly #m: number;
  readonly #policy: Policy;
  readonly #workers: readonly Worker[];
  /** By pool, sorted by rank. */
  readonly #open: PendingVisit[][];
  readonly #inFlight = new Map<number, InFlight>();
  readonly #freeSlots: number[];
  readonly #perMicroBatch: number;
  #claimed = 0;
  #now = 0;

  constructor(shape: ScheduleShape, m: number, policy: Policy) {
    this.#shape = shape;
    this.#m = m;
    this.#policy = policy;
    this.#perMicroBatch = shape.steps.length * (shape.rounds ?? 1);
    this.#freeSlots = Array.from({ length: shape.depth }, (_, slot) => slot);
    this.#workers = shape.workers.flatMap((count, pool) =>
      Array.from({ length: count }, (_, worker) => {
        const loaded = new Set(heldFromStart(shape, pool));
        return { pool, worker, loaded, busyUntil: 0 };
      }),
    );
    this.#open = shape.workers.map(() => []);
    for (let i = 0; i < m; i++) for (let n = 0; n < this.#perMicroBatch; n++) this.#plan(i, n);
    for (const open of this.#open) open.sort((a, b) => a.rank - b.rank || a.microBatch - b.microBatch);
  }

  get isOver(): boolean {
    return this.#claimed === this.#m && this.#inFlight.size === 0;
  }

  /** One step of time. */
  tick(): (ComputeVisit | LoadVisit)[] {
    this.#release();
    this.#claim();
    const free = this.#workers.filter(({ busyUntil }) => busyUntil <= this.#now);
    const begun = free.map((worker) => this.#begin(worker)).filter((visit) => visit !== null);
    if (begun.length === 0 && free.length === this.#workers.length && !this.isOver) throw this.#stuck();
    this.#now += 1;
    return begun;
  }

  /** The output keeps the input's order, so a slot is freed only after those of earlier micro-batches. */
  #release(): void {
    for (const [i, { slot, made, readyAt }] of this.#inFlight) {
      if (made < this.#perMicroBatch || readyAt > this.#now) return;
      this.#inFlight.delete(i);
      this.#freeSlots.push(slot);
    }
  }

  #claim(): void {
    while (this.#claimed < this.#m && this.#freeSlots.length > 0) {
      this.#inFlight.set(this.#claimed, { slot: this.#freeSlots.shift()!, readyAt: this.#now, made: 0 });
      this.#claimed += 1;
    }
  }

  #begin(worker: Worker): ComputeVisit | LoadVisit | null {
    const open = this.#open[worker.pool]!;
    const own = open.filter((visit) => visit.worker === null || visit.worker === worker.worker);
    const next = this.#policy.waits ? own[0] : own.find((visit) => this.#isReady(visit));
    if (!next) return null;
    const { stage, pass, slice } = this.#shape.steps[next.step]!;
    const at = { pool: worker.pool, worker: worker.worker, from: this.#now, to: this.#now + 1 };
    const evicted = worker.loaded.has(slice) ? null : this.#sliceToEvict(worker, own);
    if (evicted !== null) {
      worker.busyUntil = at.to;
      worker.loaded.delete(evicted);
      const from = this.#shape.steps.find((step) => step.slice === evicted && step.pools.includes(worker.pool))!;
      return { kind: 'unload', ...at, stage: from.stage, pass: from.pass };
    }
    if (!worker.loaded.has(slice)) {
      worker.busyUntil = at.to;
      worker.loaded.add(slice);
      return { kind: 'load', ...at, stage, pass };
    }
    if (!this.#isReady(next)) return null;
    worker.busyUntil = at.to;
    open.splice(open.indexOf(next), 1);
    const flight = this.#inFlight.get(next.microBatch)!;
    flight.made += 1;
    flight.readyAt = at.to;
    const { microBatch, round } = next;
    return { kind: 'compute', ...at, stage, pass, microBatch, round, slot: flight.slot };
  }

  /** The slice that a full worker needs last of those that it holds; `null` if it is not full. */
  #sliceToEvict({ loaded, pool }: Worker, own: readonly PendingVisit[]): string | null {
    const moving = movingPasses(this.#shape, pool).filter((slice) => loaded.has(slice));
    if (moving.length < roomOf(this.#shape, pool)) return null;
    const neededAt = (slice: string) => {
      const at = own.findIndex(({ step }) => this.#shape.steps[step]!.slice === slice);
      return at < 0 ? own.length : at;
    };
    return moving.reduce((a, b) => (neededAt(b) > neededAt(a) ? b : a));
  }

  #isReady({ microBatch, round, step }: PendingVisit): boolean {
    const flight = this.#inFlight.get(microBatch);
    return (
      flight !== undefined && flight.readyAt <= this.#now && flight.made === round * this.#shape.steps.length + step
    );
  }

  #plan(microBatch: number, n: number): void {
    const { steps, workers, groupOf } = this.#shape;
    const at = { microBatch, round: Math.floor(n / steps.length), step: n % steps.length };
    const step = steps[at.step]!;
    const group = groupOf?.(microBatch) ?? NO_GROUP;
    const pool = poolAt(step, microBatch, group);
    this.#open[pool]!.push({ ...at, pool, worker: workerAt(step, group, workers), rank: this.#policy.rankOf(at) });
  }

  #stuck(): TandemError {
    return new TandemError(
      'TANDEM_PLAN_IMPOSSIBLE',
      `the schedule deadlocks at depth ${this.#shape.depth}: a worker waits for a micro-batch that gets no slot`,
      { remedy: 'use a larger --depth' },
    );
  }
}
