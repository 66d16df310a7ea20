/** The timeline: what ran when. It keeps sums and a pace for the whole job, and single spans for parts of it. */
import { type ReplicaGroup, replicaGroupsOf } from '../arena/replicas.js';
import { predict, type StageTime } from '../schedule/predict.js';
import { type Pace, PaceCounter } from './pace.js';
import { type Span, Spans } from './spans.js';

/** A span as it is recorded: `thread` identifies a worker of the stage while it lives. */
export interface ThreadSpan extends Omit<Span, 'worker'> {
  readonly thread: number;
  /** Whether it is the micro-batch's last one in this stage; default true. */
  readonly isLast?: boolean;
}

/** What a stage did over the whole job, in seconds. */
export interface StageUse {
  readonly busySeconds: number;
  /** Seconds in which its workers computed nothing, between the job's first and last span. */
  readonly waitSeconds: number;
  readonly utilisation: number;
  /** Of slices that rotate. */
  readonly loadingSeconds: number;
  readonly loads: number;
  readonly microBatches: number;
  /** Mean seconds of a micro-batch. */
  readonly meanSeconds: number;
  /** When it accepted its first micro-batch and finished its last, in microseconds of the monotonic clock; 0 if there was none. */
  readonly firstAt: number;
  readonly lastAt: number;
}

/** A worker of a stage: one line of the timeline. */
export interface Lane {
  readonly stage: number;
  readonly worker: number;
}

/** Times in microseconds. */
interface StageSums {
  busy: number;
  loading: number;
  loads: number;
  count: number;
  rows: number;
  first: number;
  last: number;
}

/** Spans that are added together. Adding them one at a time costs ten times as much, because code and data are not in the cache. */
const BURST = 128;

/** Largest number of micro-batches that is predicted: more do not change the bubble. */
const PREDICTED = 8192;

export class Timeline {
  readonly workers: readonly number[];
  /** All workers of stage 0, then those of stage 1, … */
  readonly lanes: readonly Lane[];
  /** When the run began, in microseconds of the monotonic clock. */
  readonly startedAt: number;
  /** Recorded and not yet added. */
  #pending: ThreadSpan[] = [];
  readonly #spans = new Spans();
  readonly #pace: PaceCounter;
  readonly #replicaGroups: readonly ReplicaGroup[];
  /** Number of each stage's first lane. */
  readonly #firstLane: readonly number[];
  readonly #indices: readonly WorkerIndices[];
  readonly #sums: readonly StageSums[];

  /** @internal `workers` of each stage; without `replicaGroups` no stage has replicas. */
  constructor(
    workers: readonly number[],
    startedAt: number,
    replicaGroups: readonly ReplicaGroup[] = replicaGroupsOf(workers.map(() => ({}))),
  ) {
    this.workers = workers;
    this.#replicaGroups = replicaGroups;
    this.startedAt = startedAt;
    this.lanes = workers.flatMap((count, stage) => Array.from({ length: count }, (_, worker) => ({ stage, worker })));
    this.#firstLane = workers.map((_, stage) => this.lanes.findIndex((lane) => lane.stage === stage));
    this.#pace = new PaceCounter(this.lanes.length);
    this.#indices = workers.map((count) => new WorkerIndices(count));
    this.#sums = workers.map(() => ({
      busy: 0,
      loading: 0,
      loads: 0,
      count: 0,
      rows: 0,
      first: Number.POSITIVE_INFINITY,
      last: 0,
    }));
  }

  /** @internal */
  record(span: ThreadSpan): void {
    this.#pending.push(span);
    if (this.#pending.length === BURST) this.#addPending();
  }

  /** To be called before anything is read. */
  #addPending(): void {
    const pending = this.#pending;
    this.#pending = [];
    for (const span of pending) this.#add(span);
  }

  // Named one by one: a rest or a spread of so many fields costs 6 µs.
  #add(span: ThreadSpan): void {
    const { stage, place, thread, isLast = true, microBatch, rows, readyAt, acceptedAt, finishedAt } = span;
    const loadedFrom = span.loadedFrom ?? acceptedAt;
    const worker = this.#indices[stage]!.of(thread, finishedAt);
    const sums = this.#sums[stage]!;
    sums.busy += finishedAt - acceptedAt;
    if (loadedFrom < acceptedAt) {
      sums.loading += acceptedAt - loadedFrom;
      sums.loads += 1;
    }
    sums.count += isLast ? 1 : 0;
    sums.rows += isLast ? rows : 0;
    sums.first = Math.min(sums.first, acceptedAt);
    sums.last = Math.max(sums.last, finishedAt);
    const kept = place
      ? { stage, place, worker, microBatch, rows, readyAt, acceptedAt, finishedAt }
      : { stage, worker, microBatch, rows, readyAt, acceptedAt, finishedAt };
    this.#spans.add(loadedFrom < acceptedAt ? { ...kept, loadedFrom } : kept);
    const from = Math.max(0, acceptedAt - this.startedAt);
    const to = Math.max(0, finishedAt - this.startedAt);
    this.#pace.addBusy(this.#firstLane[stage]! + worker, from, to);
    if (isLast && this.#replicaGroups.at(-1)!.stages.includes(stage)) this.#pace.addRows(rows, to);
  }

  /** The kept spans: the newest few thousand, and samples of the earlier ones, in the order in which they finished. */
  get spans(): Span[] {
    this.#addPending();
    return this.#spans.all();
  }

  /** Spans of the whole run, kept or not. */
  get recorded(): number {
    this.#addPending();
    return this.#spans.recorded;
  }

  get pace(): Pace {
    this.#addPending();
    return this.#pace.pace;
  }

  /** Seconds from the first accept to the last finish. */
  get seconds(): number {
    this.#addPending();
    const first = Math.min(...this.#sums.map((sums) => sums.first));
    return Math.max(0, ...this.#sums.map(({ last }) => last - first)) / 1e6;
  }

  /** Rows that have left the last stage. */
  get rows(): number {
    this.#addPending();
    return this.#replicaGroups.at(-1)!.stages.reduce((sum, stage) => sum + this.#sums[stage]!.rows, 0);
  }

  uses(): StageUse[] {
    const { seconds } = this;
    return this.workers.map((workers, stage) => {
      const { busy, loading, loads, count: microBatches, first, last } = this.#sums[stage]!;
      const busySeconds = busy / 1e6;
      const available = seconds * workers;
      return {
        busySeconds,
        loadingSeconds: loading / 1e6,
        loads,
        waitSeconds: Math.max(0, available - busySeconds - loading / 1e6),
        utilisation: available > 0 ? Math.min(1, busySeconds / available) : 0,
        microBatches,
        meanSeconds: microBatches > 0 ? busySeconds / microBatches : 0,
        firstAt: microBatches > 0 ? first : 0,
        lastAt: last,
      };
    });
  }

  /** The fraction of all workers' time that was spent waiting: as measured, and as predicted for these stages. */
  bubble(depth: number): { predicted: number; measured: number } {
    const uses = this.uses();
    const stages: StageTime[] = uses.map((use, stage) => ({ seconds: use.meanSeconds, workers: this.workers[stage]! }));
    const counts = this.#replicaGroups.map(({ stages: own }) => own.reduce((sum, j) => sum + uses[j]!.microBatches, 0));
    const { bubbles } = predict(stages, Math.min(Math.max(0, ...counts), PREDICTED), depth, this.#replicaGroups);
    const mean = (values: readonly number[]) => {
      const total = this.lanes.length;
      return total === 0 ? 0 : values.reduce((sum, value, stage) => sum + value * this.workers[stage]!, 0) / total;
    };
    return { predicted: mean(bubbles), measured: mean(uses.map(({ utilisation }) => 1 - utilisation)) };
  }
}

/** The worker index of each thread of a stage: threads are replaced, indices stay. */
class WorkerIndices {
  readonly #indices: { thread: number; lastSeen: number }[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** A new thread takes a free index, else the index of the thread whose last span is oldest. */
  of(thread: number, now: number): number {
    let index = this.#indices.findIndex((each) => each.thread === thread);
    if (index < 0 && this.#indices.length < this.#count) index = this.#indices.push({ thread, lastSeen: now }) - 1;
    if (index < 0)
      index = this.#indices.reduce((a, { lastSeen }, b) => (lastSeen < this.#indices[a]!.lastSeen ? b : a), 0);
    Object.assign(this.#indices[index]!, { thread, lastSeen: now });
    return index;
  }
}
