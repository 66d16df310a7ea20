/** A trial: one open pipeline that takes the same rows as often as it is asked, at any micro-batch and depth up to its own. */
import type { ModelGraph } from '../model/graph.js';
import { Pipeline } from '../pipeline/pipeline.js';
import { predict } from '../pipeline/schedule.js';
import type { Span } from '../pipeline/timeline.js';
import { median } from '../plan/median.js';
import type { Plan } from '../plan/plan.js';
import { type CoordinatorCost, CoordinatorLedger } from './coordinator-ledger.js';
import type { Course, RowBank } from './row-bank.js';

/** What one run told. Seconds are those of one micro-batch where nothing else is said. */
export interface Sample {
  readonly rows: number;
  /** From the first row fed to the last one out. */
  readonly seconds: number;
  /** Rows a second between the first micro-batch's end and the last one's: what a long job comes to. */
  readonly steadyRate: number;
  /** Mean of each stage. */
  readonly stageSeconds: readonly number[];
  /** Seconds of the whole run if each micro-batch took as long in each stage as it did and nothing else took time. */
  readonly idealSeconds: number;
  readonly bubble: { readonly predicted: number; readonly measured: number };
  /** For each stage but the first: median seconds that a micro-batch lay ready while a worker was free for it. */
  readonly hopSeconds: readonly number[];
  readonly coordinator: CoordinatorCost;
}

export interface TrialOptions {
  readonly graph: ModelGraph;
  readonly plan: Plan;
  readonly bank: RowBank;
  /** Milliseconds. */
  readonly deadline: number;
  readonly allowFallback: boolean;
}

export class Trial {
  readonly pipeline: Pipeline;
  /** Seconds that loading and warming up took. */
  readonly loadSeconds: number;
  readonly #bank: RowBank;

  private constructor(pipeline: Pipeline, bank: RowBank, loadSeconds: number) {
    this.pipeline = pipeline;
    this.#bank = bank;
    this.loadSeconds = loadSeconds;
  }

  /** The plan's micro-batch and depth are the largest that it can run. Throws what a pipeline throws. */
  static async open({ graph, plan, bank, deadline, allowFallback }: TrialOptions): Promise<Trial> {
    const startedAt = performance.now();
    const pipeline = await Pipeline.openWarm(graph, plan, bank.specs, { allowFallback, deadline });
    return new Trial(pipeline, bank, (performance.now() - startedAt) / 1e3);
  }

  async run(course: Course): Promise<Sample> {
    const { pipeline } = this;
    const feed = this.#bank.feed(course);
    let m = 0;
    const ledger = new CoordinatorLedger();
    const startedAt = performance.now();
    for await (const _ of pipeline.run(feed)) {
      m += 1;
      ledger.enter(feed.copyMicros);
      feed.taken();
    }
    const endedAt = performance.now();
    const seconds = (endedAt - startedAt) / 1e3;
    return {
      rows: course.rows,
      seconds,
      steadyRate: steadyRateOf(this.#lastSpans(), course.rows) ?? course.rows / seconds,
      ...this.#stages(m, course.depth),
      coordinator: ledger.close(feed.copyMicros, pipeline.plan.stages.length),
    };
  }

  close(): Promise<void> {
    return this.pipeline.close();
  }

  /** Those in which micro-batches leave the pipeline. */
  #lastSpans(): Span[] {
    const { timeline, sections } = this.pipeline;
    const last = sections.at(-1)!.stages;
    return timeline.spans.filter(({ stage }) => last.includes(stage));
  }

  #stages(m: number, depth: number): Pick<Sample, 'stageSeconds' | 'idealSeconds' | 'bubble' | 'hopSeconds'> {
    const { timeline, plan, sections } = this.pipeline;
    const stageSeconds = timeline.uses().map(({ meanSeconds }) => meanSeconds);
    const times = stageSeconds.map((seconds, j) => ({ seconds, workers: plan.stages[j]!.workers }));
    const { spans } = timeline;
    return {
      stageSeconds,
      idealSeconds: predict(times, m, depth, sections, ownTimes(spans, m, stageSeconds)).seconds,
      bubble: timeline.bubble(depth),
      hopSeconds: plan.stages.slice(1).map(({ workers }, j) => hopOf(spans, j + 1, workers)),
    };
  }
}

/** What each micro-batch took in each stage; the stage's mean for one whose span was not kept. */
function ownTimes(
  spans: readonly Span[],
  m: number,
  means: readonly number[],
): (stage: number, microBatch: number) => number {
  const seconds = means.map((mean) => new Array<number>(m).fill(mean));
  for (const { stage, microBatch, acceptedAt, finishedAt } of spans)
    seconds[stage]![microBatch] = (finishedAt - acceptedAt) / 1e6;
  return (stage, microBatch) => seconds[stage]![microBatch]!;
}

/**
 * Rows a second between the first and the last end of the last stage's `spans`, of a run of so many rows; `null` where nothing lies between.
 * By the workers' own clocks: a consumer is given several micro-batches at once where they are quick, and so the first of them late.
 */
export function steadyRateOf(spans: readonly Span[], rows: number): number | null {
  const ended = spans.toSorted((a, b) => a.finishedAt - b.finishedAt);
  const [first, last] = [ended[0], ended.at(-1)];
  if (!first || !last || last.finishedAt === first.finishedAt) return null;
  return ((rows - first.rows) / (last.finishedAt - first.finishedAt)) * 1e6;
}

/** Median seconds between "ready for the stage, and a worker free" and "accepted". */
export function hopOf(spans: readonly Span[], stage: number, workers: number): number {
  const own = spans.filter((span) => span.stage === stage).toSorted((a, b) => a.acceptedAt - b.acceptedAt);
  const freeAt = new Array<number>(workers).fill(Number.NEGATIVE_INFINITY);
  const hops = own.map(({ readyAt, acceptedAt, finishedAt }) => {
    const earliest = freeAt.indexOf(Math.min(...freeAt));
    const waited = acceptedAt - Math.max(readyAt, freeAt[earliest]!);
    freeAt[earliest] = finishedAt;
    return waited;
  });
  return hops.length === 0 ? 0 : Math.max(0, median(hops)) / 1e6;
}
