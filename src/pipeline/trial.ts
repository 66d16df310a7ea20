/** A trial: a plan is loaded and run on rows of zeros for a moment, to see what it really does. */
import type { ModelGraph } from '../model/graph.js';
import type { Plan } from '../plan/plan.js';
import type { TensorSpec } from '../tensor.js';
import { type Feed, zeroRowsFrom } from './micro-batch.js';
import { Pipeline, type PipelineSettings } from './pipeline.js';
import type { Span } from './timeline.js';

export interface Trial {
  /** In the steady state: while every stage had work. */
  readonly rowsPerSecond: number;
  /** Mean seconds of a micro-batch in each stage, then. */
  readonly stageSeconds: readonly number[];
  /** The most that each stage's process has held; `null` for stages without one. */
  readonly peakBytes: readonly (number | null)[];
}

/** Seconds of steady work that a trial watches, and the fewest and most micro-batches in which it does. */
const WATCHED = { seconds: 1.2, fewest: 8, most: 256 };

/** Errors as of `Pipeline.open` and `Pipeline.warmUp`. */
export async function tryPlan(
  graph: ModelGraph,
  plan: Plan,
  rowSpecs: readonly TensorSpec[],
  settings: PipelineSettings,
): Promise<Trial> {
  const pipeline = await Pipeline.open(graph, plan, settings);
  try {
    await pipeline.warmUp(rowSpecs);
    const filling = plan.stages.reduce((sum, { workers }) => sum + workers, 0);
    const expected = plan.expected ? plan.microBatch / plan.expected.rowsPerSecond : 0;
    const enough = expected > 0 ? Math.ceil(WATCHED.seconds / expected) : WATCHED.most;
    const watched = Math.min(WATCHED.most, Math.max(WATCHED.fewest, enough));
    // Workers of one stage finish together: whole rounds are watched.
    const rounds = Math.ceil(watched / filling) * filling;
    for await (const _ of pipeline.run(zeros(rounds + 2 * filling)));
    const { spans } = pipeline.timeline;
    return { ...steady(spans, plan, filling, rounds), peakBytes: await pipeline.peakRss() };
  } finally {
    await pipeline.close();
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

/** Of the `count` micro-batches behind the first `skip`; those at the end find the stages before them idle. */
function steady(spans: readonly Span[], { stages, microBatch }: Plan, skip: number, count: number) {
  const of = (stage: number) => spans.filter((span) => span.stage === stage);
  const finished = of(stages.length - 1)
    .map(({ finishedAt }) => finishedAt)
    .sort((a, b) => a - b);
  const micros = finished[skip + count - 1]! - finished[skip - 1]!;
  const stageSeconds = stages.map((_, stage) => {
    const own = of(stage).filter((span) => span.microBatch >= skip && span.microBatch < skip + count);
    return own.reduce((sum, span) => sum + span.finishedAt - span.acceptedAt, 0) / own.length / 1e6;
  });
  return { rowsPerSecond: (count * microBatch * 1e6) / micros, stageSeconds };
}
