/** A stage by itself: the seconds that one worker takes for a micro-batch of some layers, with nothing else at work. */
import type { ModelGraph } from '../../src/model/graph.js';
import { describe } from '../../src/plan/make-plan.js';
import type { Plan } from '../../src/plan/plan.js';
import { segmentsOf } from '../../src/plan/segment.js';
import { Stopwatch } from '../../src/plan/stopwatch.js';
import type { TensorSpec } from '../../src/tensor.js';

/** Looks of which the fastest counts: engines compile in their first runs, and other work only makes them slower. */
const LOOKS = [
  { runs: 1, millis: 0 },
  { runs: 2, millis: 200 },
  { runs: 2, millis: 200 },
];

/** What takes longer than so many seconds has been looked at for long enough. */
const LONG = 3;

/** Seconds by stage of a plan of two, and the cut before its second stage. */
export async function stageAlone(graph: ModelGraph, { stages, microBatch }: Plan, rowSpecs: readonly TensorSpec[]) {
  const deadline = 600_000;
  const facts = (await describe(graph, stages[0]!, 'process', { rowSpecs, deadline }))!;
  const parts = segmentsOf(graph, facts).map(({ ops }) => ops);
  return async (stage: number, cut: number): Promise<number> => {
    const { device, engine, provider, threads } = stages[stage]!;
    const staffing = { device, engine, provider, threads, atOnce: 1 };
    await using stopwatch = new Stopwatch({ ...staffing, graph, facts, parts, deadline, allowFallback: false });
    const begin = graph.layers[cut]!.from;
    const ops = stage === 0 ? { from: 0, to: begin } : { from: begin, to: graph.ops.length };
    let least = Number.POSITIVE_INFINITY;
    for (const patience of LOOKS) {
      least = Math.min(least, (await stopwatch.time(ops, microBatch, patience)).seconds);
      if (least > LONG) break;
    }
    return least;
  };
}
