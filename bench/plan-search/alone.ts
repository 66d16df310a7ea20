/** A stage alone: the seconds that one worker takes for a micro-batch of some layers while nothing else computes. */
import type { ModelGraph } from '../../src/model/graph.js';
import type { Plan } from '../../src/plan/plan.js';
import { segmentsOf } from '../../src/planner/measure/segment.js';
import { Stopwatch } from '../../src/planner/measure/stopwatch.js';
import { describe } from '../../src/pool/describe.js';
import type { TensorSpec } from '../../src/tensor.js';

/** Measurements, of which the fastest counts: engines compile in their first runs, and other work only slows them down. */
const LOOKS = [
  { runs: 1, millis: 0 },
  { runs: 2, millis: 200 },
  { runs: 2, millis: 200 },
];

/** A stage that takes longer than this many seconds is measured once. */
const LONG = 3;

/** Returns a function: seconds by the stage of a plan of two, and the cut before its second stage. */
export async function stageAlone(graph: ModelGraph, { stages, microBatch }: Plan, rowSpecs: readonly TensorSpec[]) {
  const deadlineMs = 600_000;
  const facts = (await describe(graph, stages[0]!, 'process', { rowSpecs, deadlineMs }))!;
  const parts = segmentsOf(graph, facts).map(({ ops }) => ops);
  return async (stage: number, cut: number): Promise<number> => {
    const { device, engine, provider, threads } = stages[stage]!;
    const allocation = { device, engine, provider, threads, atOnce: 1 };
    await using stopwatch = new Stopwatch({ ...allocation, graph, facts, parts, deadlineMs, allowFallback: false });
    const begin = graph.layers[cut]!.from;
    const ops = stage === 0 ? { from: 0, to: begin } : { from: begin, to: graph.ops.length };
    let least = Number.POSITIVE_INFINITY;
    for (const sampling of LOOKS) {
      least = Math.min(least, (await stopwatch.time(ops, microBatch, sampling)).seconds);
      if (least > LONG) break;
    }
    return least;
  };
}
