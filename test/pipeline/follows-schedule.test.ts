/** A pipeline follows its schedule: every stage computes in the same order, and any number of workers keeps the rules. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { legalCuts } from '../../src/model/cut.js';
import type { Plan } from '../../src/plan/plan.js';
import { problemsOf } from '../../src/schedule/check.js';
import { generateSchedule } from '../../src/schedule/generate.js';
import type { ComputeVisit } from '../../src/schedule/schedule.js';
import { CountingFeed, firstsOf, openChain } from '../fixtures/chain.js';
import { feedsOf } from '../fixtures/onnx-runs.js';
import { orders, recordedBy, shapeOf } from '../fixtures/recorded.js';
import { feedOf, KINDS, openWarm, outputsOf, stagesOf, temporaryFolder } from '../fixtures/two-engines.js';

const folder = temporaryFolder();
after(folder.remove);

for (const isolation of ['thread', 'process'] as const) {
  test(`${isolation}: stages of one worker compute the visits of the schedule in its order`, async () => {
    const pipeline = await openChain({ providers: ['ok', 'ok', 'ok'], isolation, depth: 4, microBatch: 2 });
    try {
      await firstsOf(pipeline, new CountingFeed(24));
      const did = recordedBy(pipeline);
      const shape = shapeOf(pipeline);
      assert.deepEqual(problemsOf(did, shape, 12), []);
      assert.deepEqual(orders(did), orders([...generateSchedule(shape, 12)] as ComputeVisit[]));
    } finally {
      await pipeline.close();
    }
  });

  test(`${isolation}: any workers and replicas keep the rules`, async () => {
    const pipeline = await openChain({
      ...{ providers: ['ok', 'ok'], isolation, depth: 6, microBatch: 2, workers: [2, 3] },
      beside: [{ provider: 'ok', turns: 2 }],
    });
    try {
      await firstsOf(pipeline, new CountingFeed(60));
      const did = recordedBy(pipeline);
      assert.deepEqual(problemsOf(did, shapeOf(pipeline), 30), []);
      // The rules do reject a changed schedule.
      const slotted = did.map((visit) => ({ ...visit, slot: 0 }));
      assert.match(problemsOf(slotted, shapeOf(pipeline), 30).join(), /are in slot 0 at once/);
      assert.match(problemsOf(did, shapeOf(pipeline, { depth: 2 }), 30).join(), /others are in flight/);
    } finally {
      await pipeline.close();
    }
  });
}

test('a stage of two passes computes the visits of the schedule in its order', async () => {
  const graph = await KINDS[0]!.square(folder.path);
  const last = graph.layers.length - 1;
  const change = (plan: Plan): Plan => ({
    ...plan,
    stages: plan.stages.map((stage) => {
      const { from, to } = stage.ops;
      const cut = legalCuts(graph).find((k) => from < k && k < to)!;
      return {
        ...stage,
        passes: [
          { from, to: cut },
          { from: cut, to },
        ],
      };
    }),
  });
  const stages = stagesOf([
    [0, 1],
    [2, last],
  ]);
  const pipeline = await openWarm(graph, { stages, isolation: 'thread', change });
  try {
    await outputsOf(pipeline.run(feedOf(Array.from({ length: 9 }, (_, n) => feedsOf(graph, 4, 5, n)))));
    const did = recordedBy(pipeline);
    assert.equal(did.length, 9 * 4);
    const shape = shapeOf(pipeline);
    assert.deepEqual(problemsOf(did, shape, 9), []);
    assert.deepEqual(orders(did), orders([...generateSchedule(shape, 9)] as ComputeVisit[]));
  } finally {
    await pipeline.close();
  }
});
