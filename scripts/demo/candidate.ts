/** One candidate of the comparison: an open pipeline that runs the same file of rows repeatedly. */
import { runJob } from '../../src/job/job.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openSink } from '../../src/output/open-sink.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import type { Plan } from '../../src/plan/plan.js';
import { openSource } from '../../src/rows/open-source.js';
import type { Timeline } from '../../src/timeline/timeline.js';

/** Deadline of a micro-batch in a stage, in milliseconds. */
export const DEADLINE_MS = 60_000;

export class Candidate {
  readonly pipeline: Pipeline;
  /** Path of the answers of the latest round. */
  readonly output: string;
  /** Rows per second of each round. */
  readonly #rates: number[] = [];

  private constructor(pipeline: Pipeline, output: string) {
    this.pipeline = pipeline;
    this.output = output;
  }

  /** Loads the model. Throws what a pipeline throws, also if a stage cannot run on the device of the plan. */
  static async open(graph: ModelGraph, plan: Plan, output: string): Promise<Candidate> {
    return new Candidate(await Pipeline.open(graph, plan, { allowFallback: false, deadlineMs: DEADLINE_MS }), output);
  }

  /** Runs all rows of `input` with the same code as `tandem run`. */
  async run(input: string): Promise<void> {
    const { graph } = this.pipeline;
    const source = await openSource(input, graph.inputs);
    try {
      const sink = await openSink(this.output, { force: true, inputs: [input], outputs: graph.outputs });
      const { rows, seconds } = await runJob({ pipeline: this.pipeline, source, sink });
      this.#rates.push(rows / seconds);
    } finally {
      await source.close();
    }
  }

  /** Median rows per second of the rounds. */
  get rate(): number {
    return this.#rates.toSorted((a, b) => a - b)[Math.floor(this.#rates.length / 2)] ?? 0;
  }

  /** The timeline of the latest round. */
  get timeline(): Timeline {
    return this.pipeline.timeline;
  }

  close(): Promise<void> {
    return this.pipeline.close();
  }
}
