/** The timeline: what ran when, kept as running sums for the whole job and as single spans for its newest part. */
import { predict, type StageTime } from './schedule.js';

/** One micro-batch in one stage; microseconds of the monotonic clock. */
export interface Span {
  readonly stage: number;
  readonly worker: number;
  readonly microBatch: number;
  readonly rows: number;
  /** When its inputs lay ready for the stage. */
  readonly readyAt: number;
  readonly acceptedAt: number;
  readonly finishedAt: number;
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
}

/** Spans kept for drawing; older ones live on in the sums only, so that a long job has a bounded timeline. */
const MAX_SPANS = 8192;

export class Timeline {
  readonly workers: readonly number[];
  readonly #spans: Span[] = [];
  #oldest = 0;
  readonly #busy: number[];
  readonly #count: number[];
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;

  /** `workers` in each stage. */
  constructor(workers: readonly number[]) {
    this.workers = workers;
    this.#busy = workers.map(() => 0);
    this.#count = workers.map(() => 0);
  }

  record(span: Span): void {
    this.#busy[span.stage]! += span.finishedAt - span.acceptedAt;
    this.#count[span.stage]! += 1;
    this.#first = Math.min(this.#first, span.acceptedAt);
    this.#last = Math.max(this.#last, span.finishedAt);
    if (this.#spans.length < MAX_SPANS) this.#spans.push(span);
    else {
      this.#spans[this.#oldest] = span;
      this.#oldest = (this.#oldest + 1) % MAX_SPANS;
    }
  }

  /** The newest spans, in the order in which they finished. */
  get spans(): Span[] {
    return [...this.#spans.slice(this.#oldest), ...this.#spans.slice(0, this.#oldest)];
  }

  /** Seconds from the first accept to the last finish. */
  get seconds(): number {
    return this.#last > this.#first ? (this.#last - this.#first) / 1e6 : 0;
  }

  uses(): StageUse[] {
    return this.workers.map((workers, stage) => {
      const busySeconds = this.#busy[stage]! / 1e6;
      const available = this.seconds * workers;
      const microBatches = this.#count[stage]!;
      return {
        busySeconds,
        waitSeconds: Math.max(0, available - busySeconds),
        utilisation: available > 0 ? Math.min(1, busySeconds / available) : 0,
        microBatches,
        meanSeconds: microBatches > 0 ? busySeconds / microBatches : 0,
      };
    });
  }

  /** The share of all workers' time that was spent waiting: what was measured, and what these stages would give at best. */
  bubble(depth: number): { predicted: number; measured: number } {
    const uses = this.uses();
    const stages: StageTime[] = uses.map((use, stage) => ({ seconds: use.meanSeconds, workers: this.workers[stage]! }));
    const m = Math.max(0, ...uses.map(({ microBatches }) => microBatches));
    const { bubbles } = predict(stages, Math.min(m, MAX_SPANS), depth);
    const mean = (values: readonly number[]) => {
      const total = this.workers.reduce((sum, workers) => sum + workers, 0);
      return total === 0 ? 0 : values.reduce((sum, value, stage) => sum + value * this.workers[stage]!, 0) / total;
    };
    return { predicted: mean(bubbles), measured: mean(uses.map(({ utilisation }) => 1 - utilisation)) };
  }
}
