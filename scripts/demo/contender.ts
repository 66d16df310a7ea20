/** One way of running the model: an open pipeline that takes the same file of rows as often as it is asked. */
import { runJob } from '../../src/job/job.js';
import { openSink } from '../../src/job/open-sink.js';
import { openSource } from '../../src/job/open-source.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import type { Timeline } from '../../src/pipeline/timeline.js';
import type { Plan } from '../../src/plan/plan.js';

/** Milliseconds that a micro-batch may take in a stage. */
export const DEADLINE = 60_000;

export class Contender {
  readonly pipeline: Pipeline;
  /** Where the answers to the latest round lie. */
  readonly output: string;
  /** Rows a second, of each round. */
  readonly #rates: number[] = [];

  private constructor(pipeline: Pipeline, output: string) {
    this.pipeline = pipeline;
    this.output = output;
  }

  /** Loads the model. Throws what a pipeline throws; a stage that would not run on the device of the plan is an error too. */
  static async open(graph: ModelGraph, plan: Plan, output: string): Promise<Contender> {
    return new Contender(await Pipeline.open(graph, plan, { allowFallback: false, deadline: DEADLINE }), output);
  }

  /** Runs all rows of `input`, by the way that `tandem run` takes. */
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

  /** Rows a second in the middle one of the rounds. */
  get rate(): number {
    return this.#rates.toSorted((a, b) => a - b)[Math.floor(this.#rates.length / 2)] ?? 0;
  }

  /** What ran when in the latest round. */
  get timeline(): Timeline {
    return this.pipeline.timeline;
  }

  close(): Promise<void> {
    return this.pipeline.close();
  }
}
