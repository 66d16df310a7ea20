/** A stage of several passes on one worker has the same results, to the byte, as separate stages and as one pass. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { legalCuts } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import type { Plan } from '../../src/plan/plan.js';
import type { LayerRange } from '../../src/plan/stage-options.js';
import { feedsOf } from '../fixtures/onnx-runs.js';
import { feedOf, KINDS, openWarm, outputsOf, stagesOf, temporaryFolder } from '../fixtures/two-engines.js';

const folder = temporaryFolder();
after(folder.remove);

/** The ops of each stage in two halves. */
const halved =
  (graph: ModelGraph) =>
  (plan: Plan): Plan => ({
    ...plan,
    stages: plan.stages.map((stage) => {
      const { from, to } = stage.ops;
      const cuts = legalCuts(graph).filter((k) => from < k && k < to);
      const cut = cuts[cuts.length >> 1]!;
      const passes: LayerRange[] = [
        { from, to: cut },
        { from: cut, to },
      ];
      return { ...stage, passes };
    }),
  });

for (const { engine, skip, square } of KINDS) {
  for (const isolation of ['thread', 'process'] as const) {
    test(`${engine}, ${isolation}: two passes give the same bytes as one`, { skip }, async () => {
      const graph = await square(folder.path);
      const last = graph.layers.length - 1;
      const batches = [4, 4, 4, 3].map((rows, seed) => feedsOf(graph, rows, 5, seed));
      const found: unknown[] = [];
      for (const workers of [1, 2]) {
        for (const change of [(plan: Plan) => plan, halved(graph)]) {
          const stages = stagesOf(
            [
              [0, last >> 1],
              [(last >> 1) + 1, last],
            ],
            workers,
          );
          const pipeline = await openWarm(graph, { stages, isolation, change });
          try {
            found.push(await outputsOf(pipeline.run(feedOf(batches))));
            const { timeline, passes } = pipeline;
            const [first, second] = passes;
            assert.equal(first!.length, second!.length);
            assert.equal(timeline.recorded, batches.length * 2 * first!.length);
            assert.deepEqual(
              timeline.uses().map(({ microBatches }) => microBatches),
              [batches.length, batches.length],
            );
            assert.equal(timeline.rows, 15);
          } finally {
            await pipeline.close();
          }
        }
      }
      const [one, ...others] = found;
      for (const other of others) assert.deepEqual(other, one);
    });
  }
}

test('passes that are not contiguous are refused', async () => {
  const graph = await KINDS[0]!.square(folder.path);
  const torn = (plan: Plan): Plan => ({
    ...plan,
    stages: plan.stages.map((stage) => ({
      ...stage,
      passes: [
        { from: 0, to: 3 },
        { from: 6, to: stage.ops.to },
      ],
    })),
  });
  const stages = stagesOf([[0, graph.layers.length - 1]]);
  await assert.rejects(openWarm(graph, { stages, isolation: 'thread', change: torn }), { code: 'TANDEM_INTERNAL' });
});
