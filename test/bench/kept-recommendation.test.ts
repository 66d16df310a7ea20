/** Bench and planner take what the other has found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepRecommendation, plannedLayouts } from '../../src/bench/kept-recommendation.js';
import { makePlan } from '../../src/planner/make-plan.js';
import { settlePlan } from '../../src/planner/settle.js';
import { modelWithCaches } from '../fixtures/model-with-caches.js';
import { madeCase } from './made-result.js';

const { graph, rowSpecs } = await modelWithCaches();

const request = () => ({ rowSpecs, deadlineMs: 60_000 });
const LAYERS = [
  { device: 'cpu', threads: 1, layers: { from: 0, to: 0 } },
  { device: 'cpu', threads: 1, layers: { from: 1, to: 3 } },
];
const split = madeCase({
  name: 'a split',
  rate: 100,
  stages: [
    ['cpu', 0.01],
    ['cpu', 0.01],
  ],
});

test('what a bench found best is the plan from then on, without measuring; the next bench compares it', async () => {
  assert.deepEqual(plannedLayouts(graph, request()), []);
  keepRecommendation(graph, request(), await makePlan(graph, { ...request(), stages: LAYERS }), split, 0);
  const onProgress = (text: string) => assert.fail(text);
  const plan = await settlePlan(graph, { ...request(), allowFallback: false, onProgress });
  assert.deepEqual([plan.microBatch, plan.depth, plan.expected!.rowsPerSecond], [8, 3, 100]);
  assert.deepEqual(
    plan.stages.map(({ layers }) => layers),
    LAYERS.map(({ layers }) => layers),
  );
  const [layout, ...others] = plannedLayouts(graph, request());
  assert.deepEqual(others, []);
  const again = await makePlan(graph, { ...request(), stages: layout!.stages });
  assert.deepEqual(
    again.stages.map(({ layers, threads, workers }) => [layers, threads, workers]),
    plan.stages.map(({ layers, threads, workers }) => [layers, threads, workers]),
  );
});

test('a bench on a busy machine, one that is too short to tell, or one whose best works stage by stage decides nothing', async () => {
  const plan = await makePlan(graph, { ...request(), stages: LAYERS });
  keepRecommendation(graph, request(), plan, split, 0.5);
  keepRecommendation(graph, request(), plan, { ...split, spread: 0.2 }, 0);
  keepRecommendation(graph, request(), plan, { ...split, kind: 'sequential' }, 0);
  assert.deepEqual(plannedLayouts(graph, request()), []);
});
