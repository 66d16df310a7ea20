/** A pipeline that is opened without computing has the same layout and results. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { compare } from '../../scripts/onnx-suite/compare.js';
import { openModel } from '../../src/model/open.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { makePlan } from '../../src/planner/make-plan.js';
import { bytesOf, type Tensor } from '../../src/tensor.js';
import { feedsOf, made, runWhole, temporaryFolder } from '../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);

for (const isolation of ['thread', 'process'] as const) {
  test(`the arena has the same layout without computing, and rows have the right results (${isolation})`, async () => {
    const graph = await openModel(made(folder.path, 'transformer'));
    const rowSpecs = graph.inputs.map((input) => ({ ...input, shape: [6] }));
    const stages = [
      { device: 'cpu', threads: 1, layers: { from: 0, to: 2 } },
      { device: 'cpu', threads: 1, layers: { from: 3, to: graph.layers.length - 1 } },
    ];
    const plan = await makePlan(graph, { stages, isolation, microBatch: 4, rowSpecs, deadlineMs: 60_000 });
    const bytes: number[] = [];
    for (const compute of [true, false]) {
      const settings = { allowFallback: false, deadlineMs: 60_000 };
      const pipeline = await Pipeline.openWarm(graph, plan, rowSpecs, settings, { compute });
      try {
        bytes.push(pipeline.arenaBytes);
        const feeds = feedsOf(graph, 4, 6);
        const [results] = await outputsOf(pipeline, [feeds]);
        for (const [n, expected] of (await runWhole(graph, feeds)).entries()) {
          assert.notEqual(compare(results![n]!, expected), 'different');
        }
      } finally {
        await pipeline.close();
      }
    }
    assert.equal(bytes[0], bytes[1]);
  });
}

/** The outputs of each micro-batch, as copies. */
async function outputsOf(pipeline: Pipeline, microBatches: readonly Tensor[][]): Promise<Tensor[][]> {
  const left = [...microBatches];
  const fill = async (into: readonly Tensor[]) => {
    const next = left.shift();
    if (!next) return 0;
    for (const [n, tensor] of into.entries()) bytesOf(tensor.data).set(bytesOf(next[n]!.data));
    return next[0]!.shape[0]!;
  };
  const results: Tensor[][] = [];
  for await (const { outputs } of pipeline.run({ fill })) {
    results.push([...outputs.values()].map(({ dtype, shape, data }) => ({ dtype, shape, data: data.slice() })));
  }
  return results;
}
