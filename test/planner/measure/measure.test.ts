/** Measuring: real slices in real workers, each kind once, kept for the next time. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../../scripts/make-model.js';
import { makeOnnx } from '../../../scripts/make-onnx.js';
import { openModel } from '../../../src/model/open.js';
import { rowSpecsOf } from '../../../src/planner/make-plan.js';
import { measure } from '../../../src/planner/measure/measure.js';
import type { Allocation } from '../../../src/planner/measure/stopwatch.js';
import { stageCost } from '../../../src/planner/search/cost.js';

let folder: string;
let before_: string | undefined;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-measure-'));
  before_ = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = folder;
});
after(() => {
  if (before_ === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = before_;
  rmSync(folder, { recursive: true });
});

const ort = (threads: number, atOnce: number): Allocation => ({
  device: 'cpu',
  engine: 'onnxruntime',
  provider: 'cpu',
  threads,
  atOnce,
});

test('each kind of layer is measured once for each allocation, and the second time comes from the cache', async () => {
  const graph = await openModel(makeOnnx('transformer', join(folder, 'transformer'), { layers: 3 }));
  const rowSpecs = graph.inputs.map((input) => ({ ...input, shape: [8] }));
  const steps: string[] = [];
  const request = {
    allocations: [ort(1, 2), ort(2, 1)] as const,
    rowSpecs,
    deadlineMs: 60_000,
    allowFallback: false,
    onProgress: (_: number, __: number, what: string) => steps.push(what),
  };
  const measured = await measure(graph, request);
  const { profile, cases, microBatch } = measured;
  assert.equal(profile.segments.at(-1)!.layers.to, graph.layers.length - 1);
  assert.ok(cases.every(({ kinds }) => kinds.length === new Set(profile.segments.map(({ kind }) => kind)).size));
  assert.ok(cases[0]!.kinds.length < profile.segments.length, 'repeated layers are one kind');
  assert.ok(cases.every(({ kinds, whole }) => [...kinds, whole!].every(({ seconds }) => seconds > 0)));
  assert.ok(microBatch >= 1);

  // Whatever the moment was in which the whole was timed: the parts are scaled to it.
  const count = graph.layers.length;
  const first = cases[0]!;
  const times = profile.segments.map(({ kind }) => first.kinds[kind]!.seconds);
  for (const share of [0.8, 1, 1.3]) {
    const seconds = share * times.reduce((all, each) => all + each, 0);
    const scaled = { ...first, whole: { ...first.whole!, seconds } };
    const cost = stageCost({ graph, profile: { ...profile, secondsPerByte: 0 }, microBatch }, scaled);
    assert.ok(Math.abs(cost.seconds(0, count) / seconds - 1) < 1e-9, 'parts add up to the whole');
    assert.ok(cost.seconds(0, 2) < cost.seconds(0, count));
  }

  steps.length = 0;
  assert.deepEqual(await measure(graph, request), measured);
  assert.deepEqual(steps, [], 'nothing is measured again');
});

test('a model whose later parts read values that do not depend on the rows is measured with the values that it computes', async () => {
  const graph = await openModel(await makeModel('transformer-graph', join(folder, 'graph')));
  const allocation: Allocation = { device: 'cpu', engine: 'tfjs', provider: 'tensorflow', threads: 1, atOnce: 1 };
  const { cases } = await measure(graph, {
    allocations: [allocation],
    microBatch: 3,
    rowSpecs: rowSpecsOf(graph)!,
    deadlineMs: 60_000,
    allowFallback: false,
  });
  assert.ok(cases[0]!.kinds.every(({ seconds }) => seconds > 0));
});

test('if a run of the whole model takes long, the ratio of whole to parts is taken from the device before', async () => {
  const engineBefore = process.env.TANDEM_ENGINE_MODULE;
  process.env.TANDEM_ENGINE_MODULE = new URL('../../fixtures/slow-engine.js', import.meta.url).href;
  try {
    const graph = await openModel(makeOnnx('mlp', join(folder, 'mlp'), { layers: 8, hidden: 1024 }));
    const on = (device: string) => ({ device, engine: 'custom', provider: 'custom', threads: 1, atOnce: 1 }) as const;
    const request = { microBatch: 64, rowSpecs: rowSpecsOf(graph)!, deadlineMs: 60_000, allowFallback: false };
    const first = await measure(graph, { ...request, allocations: [on('cpu')] });
    const second = 1 / first.cases[0]!.whole!.seconds;
    const { profile, cases } = await measure(graph, {
      ...request,
      // Far above the limit, since the machine may be faster now than it was a moment ago.
      allocations: [on('cpu'), on(`cpu:${Math.ceil(3 * second)}`)],
    });
    const [ratio, slowRatio] = cases.map(({ kinds, whole }) => {
      const parts = profile.segments.map(({ kind }) => kinds[kind]!.seconds);
      return whole!.seconds / parts.reduce((all, each) => all + each, 0);
    });
    assert.ok(Math.abs(slowRatio! / ratio! - 1) < 1e-9, `${slowRatio} of ${ratio}`);
    assert.ok(cases[1]!.whole!.peakBytes! >= cases[1]!.whole!.loadedBytes!, 'it was loaded and run');
  } finally {
    if (engineBefore === undefined) delete process.env.TANDEM_ENGINE_MODULE;
    else process.env.TANDEM_ENGINE_MODULE = engineBefore;
  }
});
