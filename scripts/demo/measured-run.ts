/** One measured run: rows of a file through a plan into another file, by the way that `tandem run` takes. */
import { runJob } from '../../src/job/job.js';
import { openSink } from '../../src/job/open-sink.js';
import { openSource } from '../../src/job/open-source.js';
import { type Summary, summarise } from '../../src/job/summary.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import type { Span } from '../../src/pipeline/timeline.js';
import type { Plan } from '../../src/plan/plan.js';

/** Milliseconds that a micro-batch may take in a stage. */
export const DEADLINE = 60_000;

export interface MeasuredRun {
  readonly summary: Summary;
  /** The newest part of what ran when. */
  readonly spans: readonly Span[];
}

/** Throws what a job throws; a stage that would not run on the device of the plan is an error too. */
export async function measureRun(graph: ModelGraph, plan: Plan, input: string, output: string): Promise<MeasuredRun> {
  const startedAt = performance.now();
  const source = await openSource(input, graph.inputs);
  try {
    const pipeline = await Pipeline.open(graph, plan, { allowFallback: false, deadline: DEADLINE });
    try {
      const sink = await openSink(output, { force: true, inputs: [input], outputs: graph.outputs });
      const result = await runJob({ pipeline, source, sink });
      const loadSeconds = (result.startedAt - startedAt) / 1000;
      const summary = await summarise(pipeline, result, loadSeconds, { output, errorsFile: null });
      return { summary, spans: pipeline.timeline.spans };
    } finally {
      await pipeline.close();
    }
  } finally {
    await source.close();
  }
}
