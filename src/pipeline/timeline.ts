/** The timeline: what ran when, kept as running sums and a pace for the whole job and as single spans for parts of it. */
import { type Section, sectionsOf } from '../arena/turns.js';
import { type Pace, PaceCounter } from './pace.js';
import { predict, type StageTime } from './schedule.js';
import { Spans } from './spans.js';

/** One micro-batch in one stage; microseconds of the monotonic clock. */
export interface Span {
  readonly stage: number;
  /** Which of the stage's workers, from 0; a worker that replaces a dead one has its number. */
  readonly worker: number;
  readonly microBatch: number;
  readonly rows: number;
  /** When its inputs lay ready for the stage. */
  readonly readyAt: number;
  readonly acceptedAt: number;
  readonly finishedAt: number;
}

/** A span as it is told: `thread` is whatever tells one worker of the stage from another while it lives. */
export interface ThreadSpan extends Omit<Span, 'worker'> {
  readonly thread: number;
}

/** What a stage did over the whole job, in seconds. */
export interface StageUse {
  readonly busySeconds: number;
  /** Seconds in which its workers computed nothing, between the job's first and last span. */
  readonly waitSeconds: number;
  readonly utilisation: number;
  readonly microBatches: number;
  /** Mean seconds of a micro-batch. */
  readonly meanSeconds: number;
  /** When it accepted its first micro-batch and finished its last, in microseconds of the monotonic clock; 0 where there was none. */
  readonly firstAt: number;
  readonly lastAt: number;
}

/** A worker of a stage, as a line of the timeline. */
export interface Lane {
  readonly stage: number;
  readonly worker: number;
}

/** Microseconds, and how often. */
interface StageSums {
  busy: number;
  count: number;
  rows: number;
  first: number;
  last: number;
}

/** Spans that are taken in together: one at a time, between two micro-batches, costs ten times as much, for want of warm code and data. */
const BURST = 128;

/** Micro-batches that a prediction is made of: more change nothing in it. */
const PREDICTED = 8192;

export class Timeline {
  readonly workers: readonly number[];
  /** All workers of stage 0, then those of stage 1, … */
  readonly lanes: readonly Lane[];
  /** When the run began, in microseconds of the monotonic clock. */
  readonly startedAt: number;
  /** Recorded and not yet taken in. */
  #fresh: ThreadSpan[] = [];
  readonly #spans = new Spans();
  readonly #pace: PaceCounter;
  readonly #sections: readonly Section[];
  /** Number of each stage's first lane. */
  readonly #firstLane: readonly number[];
  readonly #seats: readonly Seats[];
  readonly #sums: readonly StageSums[];

  /** `workers` in each stage; without `sections` each stage stands alone. */
  constructor(
    workers: readonly number[],
    startedAt: number,
    sections: readonly Section[] = sectionsOf(workers.map(() => ({}))),
  ) {
    this.workers = workers;
    this.#sections = sections;
    this.startedAt = startedAt;
    this.lanes = workers.flatMap((count, stage) => Array.from({ length: count }, (_, worker) => ({ stage, worker })));
    this.#firstLane = workers.map((_, stage) => this.lanes.findIndex((lane) => lane.stage === stage));
    this.#pace = new PaceCounter(this.lanes.length);
    this.#seats = workers.map((count) => new Seats(count));
    this.#sums = workers.map(() => ({ busy: 0, count: 0, rows: 0, first: Number.POSITIVE_INFINITY, last: 0 }));
  }

  record(span: ThreadSpan): void {
    this.#fresh.push(span);
    if (this.#fresh.length === BURST) this.#takeIn();
  }

  /** Before anything is told. */
  #takeIn(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const span of fresh) this.#add(span);
  }

  #add({ stage, thread, microBatch, rows, readyAt, acceptedAt, finishedAt }: ThreadSpan): void {
    const worker = this.#seats[stage]!.of(thread, finishedAt);
    const sums = this.#sums[stage]!;
    sums.busy += finishedAt - acceptedAt;
    sums.count += 1;
    sums.rows += rows;
    sums.first = Math.min(sums.first, acceptedAt);
    sums.last = Math.max(sums.last, finishedAt);
    this.#spans.add({ stage, worker, microBatch, rows, readyAt, acceptedAt, finishedAt });
    const from = Math.max(0, acceptedAt - this.startedAt);
    const to = Math.max(0, finishedAt - this.startedAt);
    this.#pace.addBusy(this.#firstLane[stage]! + worker, from, to);
    if (this.#sections.at(-1)!.stages.includes(stage)) this.#pace.addRows(rows, to);
  }

  /** The spans that are kept: the newest some thousand, and samples of all before, in the order in which they finished. */
  get spans(): Span[] {
    this.#takeIn();
    return this.#spans.all();
  }

  /** Spans of the whole run, kept or not. */
  get recorded(): number {
    this.#takeIn();
    return this.#spans.recorded;
  }

  get pace(): Pace {
    this.#takeIn();
    return this.#pace.pace;
  }

  /** Seconds from the first accept to the last finish. */
  get seconds(): number {
    this.#takeIn();
    const first = Math.min(...this.#sums.map((sums) => sums.first));
    return Math.max(0, ...this.#sums.map(({ last }) => last - first)) / 1e6;
  }

  /** Rows that have left the last stage. */
  get rows(): number {
    this.#takeIn();
    return this.#sections.at(-1)!.stages.reduce((sum, stage) => sum + this.#sums[stage]!.rows, 0);
  }

  uses(): StageUse[] {
    const { seconds } = this;
    return this.workers.map((workers, stage) => {
      const { busy, count: microBatches, first, last } = this.#sums[stage]!;
      const busySeconds = busy / 1e6;
      const available = seconds * workers;
      return {
        busySeconds,
        waitSeconds: Math.max(0, available - busySeconds),
        utilisation: available > 0 ? Math.min(1, busySeconds / available) : 0,
        microBatches,
        meanSeconds: microBatches > 0 ? busySeconds / microBatches : 0,
        firstAt: microBatches > 0 ? first : 0,
        lastAt: last,
      };
    });
  }

  /** The share of all workers' time that was spent waiting: what was measured, and what these stages would give at best. */
  bubble(depth: number): { predicted: number; measured: number } {
    const uses = this.uses();
    const stages: StageTime[] = uses.map((use, stage) => ({ seconds: use.meanSeconds, workers: this.workers[stage]! }));
    const counts = this.#sections.map(({ stages: own }) => own.reduce((sum, j) => sum + uses[j]!.microBatches, 0));
    const { bubbles } = predict(stages, Math.min(Math.max(0, ...counts), PREDICTED), depth, this.#sections);
    const mean = (values: readonly number[]) => {
      const total = this.lanes.length;
      return total === 0 ? 0 : values.reduce((sum, value, stage) => sum + value * this.workers[stage]!, 0) / total;
    };
    return { predicted: mean(bubbles), measured: mean(uses.map(({ utilisation }) => 1 - utilisation)) };
  }
}

/** Who sits where among a stage's workers: threads come and go, lanes stay. */
class Seats {
  readonly #seats: { thread: number; heardAt: number }[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** A thread that was not seen before takes a free seat, or that of the one not heard of for longest. */
  of(thread: number, now: number): number {
    let seat = this.#seats.findIndex((each) => each.thread === thread);
    if (seat < 0 && this.#seats.length < this.#count) seat = this.#seats.push({ thread, heardAt: now }) - 1;
    if (seat < 0) seat = this.#seats.reduce((a, { heardAt }, b) => (heardAt < this.#seats[a]!.heardAt ? b : a), 0);
    Object.assign(this.#seats[seat]!, { thread, heardAt: now });
    return seat;
  }
}
