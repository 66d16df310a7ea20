/** Settling on a plan: measured, tried, kept; budgets are held to, and what cannot be done is refused with what would do. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { ENGINES } from '../../src/engine/registry.js';
import { TandemError } from '../../src/errors.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { type SettleRequest, settlePlan } from '../../src/pipeline/settle-plan.js';
import { readPlanFile, writePlanFile } from '../../src/plan/plan-file.js';
import type { TensorSpec } from '../../src/tensor.js';

let folder: string;
let cacheBefore: string | undefined;
let graph: ModelGraph;
let rowSpecs: TensorSpec[];
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-settle-'));
  cacheBefore = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = folder;
  graph = await openModel(makeOnnx('transformer', join(folder, 'transformer'), { layers: 3 }));
  rowSpecs = graph.inputs.map((input) => ({ ...input, shape: [8] }));
});
after(() => {
  if (cacheBefore === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cacheBefore;
  rmSync(folder, { recursive: true });
});

const settle = (request: Partial<SettleRequest>) =>
  settlePlan(graph, { rowSpecs, deadline: 60_000, allowFallback: false, microBatch: 4, ...request });
const failure = (code: string, says: RegExp) => (error: unknown) =>
  error instanceof TandemError && error.code === code && says.test(`${error.message} ${error.remedy}`);

test('with nothing asked the plan covers the model, has been tried, and is the same the next time without measuring', async () => {
  const said: string[] = [];
  const onProgress = (text: string) => said.push(text);
  const plan = await settle({ onProgress });
  assert.equal(plan.cutBy, 'measured');
  assert.equal(plan.stages[0]!.ops.from, 0);
  assert.equal(plan.stages.at(-1)!.ops.to, graph.ops.length);
  assert.ok(plan.expected!.verified);
  assert.ok(plan.expected!.rowsPerSecond > 0);
  assert.ok(plan.expected!.others!.length > 0, 'other forms were considered');
  assert.ok(said.some((text) => text.startsWith('trying')));
  said.length = 0;
  assert.deepEqual(await settle({ onProgress }), plan);
  assert.deepEqual(said, []);
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan, 'plain data');
});

test('named stages keep their devices, order and staffing; only the cut is sought', async () => {
  const stage = { device: 'cpu', threads: 1 };
  const plan = await settle({ stages: [stage, stage] });
  assert.deepEqual(
    plan.stages.map(({ device, threads, workers }) => [device, threads, workers]),
    [
      ['cpu', 1, 1],
      ['cpu', 1, 1],
    ],
  );
  const alone = plan.expected!.others!.find(({ name }) => name === '1 stage: cpu, 1 x 1 thread')!;
  const faster = alone.rowsPerSecond! > plan.expected!.rowsPerSecond;
  assert.match(alone.why, faster ? /one device is faster/ : /slower/);
  assert.ok(plan.expected!.lowerBound <= Math.max(...plan.expected!.stages.map(({ seconds }) => seconds)) * 1.5);
});

test('a plan that was made before TensorFlow was linked is not kept afterwards', async (t) => {
  const mlp = await openModel(await makeModel('mlp', join(folder, 'mlp')));
  const specs = mlp.inputs.map((input) => ({ ...input, shape: input.shape.slice(1) }));
  const request = { rowSpecs: specs, deadline: 60_000, allowFallback: false, microBatch: 4 };
  const stages = [{ device: 'cpu', threads: 1 }];
  const provider = async () => (await settlePlan(mlp, { ...request, stages })).stages[0]!.provider;
  t.mock.method(ENGINES.tfjs, 'seemsThere', (name: string) => name === 'wasm');
  assert.equal(await provider(), 'wasm');
  t.mock.restoreAll();
  assert.equal(await provider(), 'tensorflow');
});

test('where every stage has its layers nothing is measured', async () => {
  const stages = [
    { device: 'cpu', threads: 1, layers: { from: 0, to: 1 } },
    { device: 'cpu', threads: 1, layers: { from: 2, to: graph.layers.length - 1 } },
  ];
  const plan = await settle({ stages, onProgress: (text) => assert.fail(text) });
  assert.equal(plan.cutBy, 'layers');
});

test('a budget that no slice fits is refused before anything is loaded, with the smallest that would do, which then does', async () => {
  const stages = (memory: number) => [
    { device: 'cpu', threads: 1, memory },
    { device: 'cpu', threads: 1, memory },
  ];
  let smallest = 0;
  await assert.rejects(settle({ stages: stages(2 ** 20) }), (error) => {
    smallest = Number(/memory=(\d+)MiB/.exec((error as TandemError).remedy)![1]);
    return failure('TANDEM_PLAN_IMPOSSIBLE', /1MiB may be used/)(error);
  });
  assert.ok(smallest > 20, `${smallest}`);
  await assert.rejects(
    settle({ stages: stages((smallest - 1) * 2 ** 20) }),
    failure('TANDEM_PLAN_IMPOSSIBLE', /needs/),
  );
  const plan = await settle({ stages: stages(smallest * 2 ** 20) });
  assert.equal(plan.isolation, 'process', 'a budget is held to where memory can be told apart');
  const pipeline = await Pipeline.open(graph, plan, { allowFallback: false, deadline: 60_000 });
  try {
    await pipeline.warmUp(rowSpecs);
    for (const peak of await pipeline.peakRss()) assert.ok(peak! <= smallest * 2 ** 20);
  } finally {
    await pipeline.close();
  }
});

test('a stage that holds more than it may once it is warm stops the pipeline', async () => {
  const plan = await settle({
    stages: [{ device: 'cpu', threads: 1, memory: 2 ** 30, layers: { from: 0, to: graph.layers.length - 1 } }],
  });
  const tight = { ...plan, stages: plan.stages.map((stage) => ({ ...stage, memory: 2 ** 20 })) };
  const pipeline = await Pipeline.open(graph, tight, { allowFallback: false, deadline: 60_000 });
  await assert
    .rejects(pipeline.warmUp(rowSpecs), failure('TANDEM_PLAN_IMPOSSIBLE', /once it is warm/))
    .finally(() => pipeline.close());
});

test('a plan is written and read back; for another model, machine or engine build it is refused with the reason', async () => {
  const plan = await settle({});
  const file = join(folder, 'plan.json');
  writePlanFile(file, graph, plan);
  const { others, ...expected } = plan.expected!;
  assert.ok(others);
  assert.deepEqual(readPlanFile(file, graph), { ...plan, expected });

  const other = await openModel(makeOnnx('transformer', join(folder, 'other'), { layers: 4 }));
  assert.throws(() => readPlanFile(file, other), failure('TANDEM_PLAN_FOREIGN', /another model/));
  const changed = (change: (text: string) => string) => {
    const path = join(folder, 'changed.json');
    writeFileSync(path, change(readFileSync(file, 'utf8')));
    return () => readPlanFile(path, graph);
  };
  const machine = changed((text) => JSON.stringify({ ...JSON.parse(text), machine: 'abacus' }));
  assert.throws(machine, failure('TANDEM_PLAN_FOREIGN', /made on "abacus"/));
  const build = changed((text) => text.replaceAll('onnxruntime-node 1', 'onnxruntime-node 0'));
  assert.throws(build, failure('TANDEM_PLAN_FOREIGN', /onnxruntime-node 0.*onnxruntime-node 1/));
  const holes = changed((text) => text.replaceAll(/"to": \d+/g, '"to": 9999'));
  assert.throws(holes, failure('TANDEM_LAYERS_INVALID', /9999/));
  assert.throws(
    changed(() => '{"schema": 1}'),
    failure('TANDEM_USAGE', /is not a plan/),
  );
  assert.throws(
    changed(() => 'no'),
    failure('TANDEM_USAGE', /is not a plan/),
  );
});

test('a plan whose processes hold more than was promised is made again once, with what was measured; then it is refused', async () => {
  const width = 3000;
  const layerBytes = 4 * width ** 2;
  const heavy = await openModel(makeOnnx('mlp', join(folder, 'heavy'), { layers: 6, hidden: width }));
  const specs = [{ ...heavy.inputs[0]!, shape: [width] }];
  const make = (memory: number, depth: number) => {
    const stages = [
      { device: 'cpu', threads: 1, memory },
      { device: 'cpu', threads: 1 },
    ];
    // Another depth is another plan, so that it does not come from the cache.
    return settlePlan(heavy, { rowSpecs: specs, deadline: 60_000, allowFallback: false, microBatch: 4, stages, depth });
  };
  const honest = await make(2 ** 40, 4);
  const pipeline = await Pipeline.openWarm(heavy, honest, specs, { allowFallback: false, deadline: 60_000 });
  const [held] = await pipeline.peakRss().finally(() => pipeline.close());

  const profiles = join(folder, 'tandem', 'profiles');
  for (const name of readdirSync(profiles)) {
    const text = readFileSync(join(profiles, name), 'utf8');
    const halved = text.replace(
      /"(emptyBytes|loadedBytes|peakBytes)":(\d+)/g,
      (_, key, n) => `"${key}":${Number(n) / 2}`,
    );
    writeFileSync(join(profiles, name), halved);
  }
  const memory = Math.floor(held! - 8 * 2 ** 20);
  const leaner = await make(memory, 5);
  assert.ok(leaner.stages[0]!.layers.to < honest.stages[0]!.layers.to, JSON.stringify(leaner.expected));
  assert.ok(leaner.expected!.verified && leaner.expected!.stages[0]!.bytes <= memory);

  const empty = held! - (honest.stages[0]!.layers.to + 1) * layerBytes;
  await assert.rejects(make(Math.floor(empty * 0.9), 6), failure('TANDEM_PLAN_IMPOSSIBLE', /needs \d+MiB in stage 0/));
});
