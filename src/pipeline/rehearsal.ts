/** A rehearsal: a plan is loaded and run on rows of zeros for a moment, to see what it really does. */
import { sectionsOf, sharesOf } from '../arena/turns.js';
import { isCpu } from '../engine/registry.js';
import type { ModelGraph } from '../model/graph.js';
import { hasBudget } from '../plan/budget.js';
import type { Plan } from '../plan/plan.js';
import { sum } from '../sums.js';
import type { TensorSpec } from '../tensor.js';
import { type Feed, zeroRowsFrom } from './micro-batch.js';
import { Pipeline, type PipelineSettings } from './pipeline.js';
import type { Whole } from './promise.js';
import { intervalOf } from './schedule.js';
import type { Span } from './timeline.js';

export interface Seen {
  /** That were watched. */
  readonly microBatches: number;
  /** All that ran, before and after those too. */
  readonly whole: Whole;
  /** In the steady state: while every stage had work. */
  readonly rowsPerSecond: number;
  /** Mean seconds of a micro-batch in each stage, then. */
  readonly stageSeconds: readonly number[];
  /** The most that each stage's process has held; `null` for stages without one, and on cards. */
  readonly peakBytes: readonly (number | null)[];
}

/** Micro-batches of steady work that are watched at most. */
const MOST_WATCHED = 256;

/** Rounds, in which every worker of every stage has a micro-batch, that say something of a pace. */
const FEWEST_ROUNDS = 2;

export class Rehearsal {
  readonly plan: Plan;
  readonly #pipeline: Pipeline;
  #closed = false;

  private constructor(plan: Plan, pipeline: Pipeline) {
    this.plan = plan;
    this.#pipeline = pipeline;
  }

  /** Errors as of `Pipeline.openWarm`. */
  static async open(
    graph: ModelGraph,
    plan: Plan,
    rowSpecs: readonly TensorSpec[],
    settings: PipelineSettings,
  ): Promise<Rehearsal> {
    // As cold as a run finds its stages.
    const compute = hasBudget(plan.stages);
    return new Rehearsal(plan, await Pipeline.openWarm(graph, plan, rowSpecs, settings, { compute }));
  }

  /** Watches about so many seconds of steady work, if the plan runs as it expects, but no fewer rounds than `fewest`. */
  async watch(seconds: number, fewest = FEWEST_ROUNDS): Promise<Seen> {
    const { stages, expected, microBatch } = this.plan;
    const rounds = sectionsOf(stages).map(({ stages: own, order }) =>
      Math.max(order.length, sum(own.map((j) => stages[j]!.workers))),
    );
    const round = sum(rounds);
    const last = rounds.at(-1)!;
    // Micro-batches that leave before every stage has work, and as many at the end, when the first has none.
    const filling = Math.max(last, round - last);
    const interval = expected ? microBatch / expected.rowsPerSecond : 0;
    const enough = interval > 0 ? Math.ceil(seconds / interval) : MOST_WATCHED;
    // Workers of one stage finish together: whole rounds are watched.
    const watched = Math.ceil(Math.min(MOST_WATCHED, Math.max(fewest * round, enough)) / round) * round;
    const count = watched + 2 * filling;
    const start = performance.now();
    for await (const _ of this.#pipeline.run(zeros(count)));
    const whole = { microBatches: count, seconds: (performance.now() - start) / 1e3 };
    const { spans } = this.#pipeline.timeline;
    const peaks = await this.#pipeline.peakRss();
    // What a card holds does not show in the process.
    const peakBytes = peaks.map((peak, j) => (isCpu(stages[j]!.device) ? peak : null));
    return { ...steady(spans, this.plan, filling, watched), whole, peakBytes };
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#pipeline.close();
  }
}

/** `count` micro-batches of zeros. */
function zeros(count: number): Feed {
  let left = count;
  return {
    async fill(rooms) {
      // What lies in a slot is the micro-batch before.
      for (const room of rooms) zeroRowsFrom(room, 0);
      return left-- > 0 ? rooms[0]!.shape[0]! : 0;
    },
  };
}

/**
 * Of the `count` micro-batches behind the first `skip`; those at the end find the stages before them idle. What had queued before a stage while it
 * was cold leaves it faster than the slowest stage works: that is not the pace.
 */
function steady(spans: readonly Span[], { stages, microBatch }: Plan, skip: number, count: number) {
  const of = (stage: number) => spans.filter((span) => span.stage === stage);
  const last = sectionsOf(stages).at(-1)!.stages;
  const finished = spans
    .filter(({ stage }) => last.includes(stage))
    .map(({ finishedAt }) => finishedAt)
    .sort((a, b) => a - b);
  const micros = finished[skip + count - 1]! - finished[skip - 1]!;
  const stageSeconds = stages.map((_, stage) => {
    const own = of(stage).filter((span) => span.microBatch >= skip && span.microBatch < skip + count);
    return own.reduce((sum, span) => sum + span.finishedAt - span.acceptedAt, 0) / own.length / 1e6;
  });
  const times = stages.map(({ workers }, j) => ({ seconds: stageSeconds[j]!, workers }));
  const slowest = intervalOf(times, sharesOf(stages));
  return { microBatches: count, rowsPerSecond: microBatch / Math.max(micros / count / 1e6, slowest), stageSeconds };
}
