/** A trial: loads a plan and runs it for a moment to measure what it really does. `plan`, `run` and `bench` all try plans with it. */
import { replicaGroupsOf, sharesOf } from '../../arena/replicas.js';
import { isCpu } from '../../engine/device.js';
import type { ModelGraph } from '../../model/graph.js';
import { Pipeline, type PipelineSettings } from '../../pipeline/pipeline.js';
import { hasBudget } from '../../plan/budget.js';
import type { Plan } from '../../plan/plan.js';
import { intervalOf } from '../../schedule/predict.js';
import { sum } from '../../sums.js';
import type { Whole } from '../../timeline/estimate.js';
import type { Span } from '../../timeline/spans.js';
import type { TrialRows, Workload } from './workload.js';

export interface Observation {
  /** The number of micro-batches that were measured. */
  readonly microBatches: number;
  /** The whole run, including the micro-batches before and after those. */
  readonly whole: Whole;
  /** Rate in the steady state: while every stage has work. */
  readonly rowsPerSecond: number;
  /** Mean seconds of a micro-batch in each stage, in the steady state. */
  readonly stageSeconds: readonly number[];
  /** Peak bytes of each stage's process; `null` for stages without a process of their own, and on cards whose drivers report no memory. */
  readonly peakBytes: readonly (number | null)[];
}

/** Micro-batches of the steady state that are measured at most. */
const MOST_WATCHED = 256;

/** Micro-batches that `pace` runs at most. */
const MOST_PACED = 400;

/** The fewest rounds from which a pace can be computed. In a round every worker of every stage has a micro-batch. */
const FEWEST_ROUNDS = 2;

export interface TrialOptions extends PipelineSettings {
  readonly graph: ModelGraph;
  /** Workloads may have its micro-batch and depth at most, until the pipeline is resized. */
  readonly plan: Plan;
  readonly rows: TrialRows;
}

/** The result of one run, by the coordinator's clock. */
export interface RunResult extends Whole {
  /** Microseconds that the thread that fills slots spent on writing rows. */
  readonly copyMicros: number;
}

export class Trial {
  readonly pipeline: Pipeline;
  /** Seconds of loading and warming up. */
  readonly loadSeconds: number;
  readonly #rows: TrialRows;
  #closed = false;

  private constructor(pipeline: Pipeline, rows: TrialRows, loadSeconds: number) {
    this.pipeline = pipeline;
    this.#rows = rows;
    this.loadSeconds = loadSeconds;
  }

  /** Errors as of `Pipeline.openWarm`. */
  static async open({ graph, plan, rows, ...settings }: TrialOptions): Promise<Trial> {
    const startedAt = performance.now();
    // Stages are as cold as in a run, unless budgets must be checked.
    const compute = hasBudget(plan.stages);
    const pipeline = await Pipeline.openWarm(graph, plan, rows.specs, settings, { compute });
    return new Trial(pipeline, rows, (performance.now() - startedAt) / 1e3);
  }

  get plan(): Plan {
    return this.pipeline.plan;
  }

  /** Runs a workload. Calls `onMicroBatch` after each micro-batch with the microseconds spent on writing rows so far. */
  async run(workload: Workload, onMicroBatch?: (copyMicros: number) => void): Promise<RunResult> {
    const feed = this.#rows.feed(workload);
    let microBatches = 0;
    const start = performance.now();
    for await (const _ of this.pipeline.run(feed)) {
      microBatches += 1;
      onMicroBatch?.(feed.copyMicros);
      feed.taken();
    }
    return { microBatches, seconds: (performance.now() - start) / 1e3, copyMicros: feed.copyMicros };
  }

  /**
   * Rows a second of a long job with this workload, from about `seconds` of work and at most 400 micro-batches. Before that it runs `rounds`
   * rounds in which every worker prepares for the size.
   */
  async pace({ microBatch, depth }: Omit<Workload, 'rows'>, seconds: number, rounds = 1): Promise<number> {
    const workers = sum(this.plan.stages.map((stage) => stage.workers));
    const first = await this.run({ microBatch, depth, rows: microBatch * workers * rounds });
    const enough = Math.ceil((seconds * first.microBatches) / first.seconds);
    // Workers that start together finish together: a single round has no steady rate.
    const count = Math.max(2 * workers + 1, Math.min(enough, MOST_PACED));
    const ran = await this.run({ microBatch, depth, rows: microBatch * count });
    return steadyRateOf(this.lastSpans, microBatch * count) ?? (microBatch * count) / ran.seconds;
  }

  /** Spans of the last stage in the newest run, as far as they are kept. */
  get lastSpans(): Span[] {
    const { timeline, replicaGroups } = this.pipeline;
    const last = replicaGroups.at(-1)!.stages;
    return timeline.spans.filter(({ stage }) => last.includes(stage));
  }

  /** Measures about `seconds` of the steady state, if the plan runs at its expected pace, but at least `fewest` rounds. */
  async watch(seconds: number, fewest = FEWEST_ROUNDS): Promise<Observation> {
    const { stages, expected, microBatch, depth, block } = this.plan;
    const rounds = replicaGroupsOf(stages).map(({ stages: own, roundRobin }) =>
      Math.max(roundRobin.length, sum(own.map((j) => stages[j]!.workers))),
    );
    // Where stages rotate, all of a block leaves the last stage together.
    const round = block ?? sum(rounds);
    const last = rounds.at(-1)!;
    // Micro-batches that leave before every stage has work, and as many at the end, when the first stage has none left.
    const filling = block ? block * rounds.length : Math.max(last, round - last);
    const interval = expected ? microBatch / expected.rowsPerSecond : 0;
    const enough = interval > 0 ? Math.ceil(seconds / interval) : MOST_WATCHED;
    // Workers of one stage finish together, so whole rounds are measured.
    const least = block ? round : fewest * round;
    const watched = Math.ceil(Math.min(MOST_WATCHED, Math.max(least, enough)) / round) * round;
    // At the end of blocks the last stage's time is whole: only stages before it run dry.
    const count = watched + filling + (block ? filling - block : filling);
    const { seconds: took } = await this.run({ rows: count * microBatch, microBatch, depth });
    const whole = { microBatches: count, seconds: took };
    const { spans } = this.pipeline.timeline;
    const peaks = await this.pipeline.peakRss();
    // A card's memory does not show in the process: its driver reports it. What stages hold together is each one's.
    const onCards = new Map(
      this.pipeline.heldOnCards().flatMap(({ stages: own, bytes }) => own.map((j) => [j, bytes / own.length])),
    );
    const peakBytes = peaks.map((peak, j) => (isCpu(stages[j]!.device) ? peak : (onCards.get(j) ?? null)));
    return { ...steadyState(spans, this.plan, filling, watched), whole, peakBytes };
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Hands the loaded pipeline over: closing the trial afterwards does not close it. */
  release(): Pipeline {
    this.#closed = true;
    return this.pipeline;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.pipeline.close();
  }
}

/**
 * The steady state: the `count` micro-batches after the first `skip`. At the end the first stages are idle. Micro-batches that queued before a
 * cold stage leave it faster than the slowest stage works; the slowest stage limits the rate.
 */
function steadyState(spans: readonly Span[], { stages, microBatch }: Plan, skip: number, count: number) {
  const of = (stage: number) => spans.filter((span) => span.stage === stage);
  const last = replicaGroupsOf(stages).at(-1)!.stages;
  const ends = new Map<number, number>();
  for (const { stage, microBatch: i, finishedAt } of spans) {
    if (last.includes(stage)) ends.set(i, Math.max(ends.get(i) ?? 0, finishedAt));
  }
  const finished = [...ends.values()].sort((a, b) => a - b);
  const micros = finished[skip + count - 1]! - finished[skip - 1]!;
  const stageSeconds = stages.map((_, stage) => {
    const own = of(stage).filter((span) => span.microBatch >= skip && span.microBatch < skip + count);
    const microBatches = new Set(own.map((span) => span.microBatch)).size;
    return sum(own.map((span) => span.finishedAt - (span.loadedFrom ?? span.acceptedAt))) / microBatches / 1e6;
  });
  const times = stages.map(({ workers }, j) => ({ seconds: stageSeconds[j]!, workers }));
  const slowest = intervalOf(times, sharesOf(stages));
  return { microBatches: count, rowsPerSecond: microBatch / Math.max(micros / count / 1e6, slowest), stageSeconds };
}

/**
 * Rows a second between the first and the last end in the last stage's `spans`, of a run of `rows` rows; `null` if the ends coincide. Uses the
 * workers' clocks: a consumer gets quick micro-batches several at once, so the first of them late.
 */
export function steadyRateOf(spans: readonly Span[], rows: number): number | null {
  const ended = spans.toSorted((a, b) => a.finishedAt - b.finishedAt);
  const [first, last] = [ended[0], ended.at(-1)];
  if (!first || !last || last.finishedAt === first.finishedAt) return null;
  return ((rows - first.rows) / (last.finishedAt - first.finishedAt)) * 1e6;
}
