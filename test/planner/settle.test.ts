/** Settling on a plan: measured, tried, kept. Budgets hold, and a request that is impossible is refused with the budget that would suffice. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { tfjsEngine } from '../../src/engine/tfjs/engine.js';
import { TandemError } from '../../src/errors.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { readPlanFile, writePlanFile } from '../../src/plan/plan-file.js';
import { type SettleRequest, settlePlan } from '../../src/planner/settle.js';
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

/** A machine that does not report how busy it is. */
const readTicks = () => null;
const settle = (request: Partial<SettleRequest>) =>
  settlePlan(graph, { rowSpecs, deadlineMs: 60_000, allowFallback: false, microBatch: 4, readTicks, ...request });
const failure = (code: string, pattern: RegExp) => (error: unknown) =>
  error instanceof TandemError && error.code === code && pattern.test(`${error.message} ${error.remedy}`);

test('without named stages the plan covers the model, was tried, and is the same the next time without measuring', async () => {
  const messages: string[] = [];
  const onProgress = (text: string) => messages.push(text);
  const plan = await settle({ onProgress });
  assert.equal(plan.cutBy, 'measured');
  assert.equal(plan.stages[0]!.ops.from, 0);
  assert.equal(plan.stages.at(-1)!.ops.to, graph.ops.length);
  assert.ok(plan.expected!.verified);
  assert.ok(plan.expected!.rowsPerSecond > 0);
  assert.ok(plan.expected!.others!.length > 0, 'other topologies were considered');
  assert.ok(messages.some((text) => text.startsWith('trying')));
  messages.length = 0;
  assert.deepEqual(await settle({ onProgress }), plan);
  assert.deepEqual(messages, []);
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan, 'plain data');
});

test('a plan that was measured while other work ran records it, and is measured again the next time', async () => {
  let all = 0;
  // Other work takes 43 % of two cores.
  const busy = () => {
    all += 200;
    return { all, idle: 0, own: 0.57 * all };
  };
  const request = { stages: [{ device: 'cpu', threads: 1, workers: 1 }], microBatch: 2 };
  const plan = await settle({ ...request, readTicks: busy });
  assert.ok(Math.abs(plan.expected!.busy! - 0.43) < 1e-9);
  const messages: string[] = [];
  const again = await settle({ ...request, onProgress: (text) => messages.push(text) });
  assert.ok(
    messages.some((text) => text.startsWith('measuring')),
    'its layers too',
  );
  assert.equal(again.expected!.busy, undefined);
  messages.length = 0;
  assert.deepEqual(await settle({ ...request, onProgress: (text) => messages.push(text) }), again);
  assert.deepEqual(messages, []);
});

test('named stages keep their devices, order and allocation; only the cut is searched', async () => {
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
  assert.match(alone.why, faster ? /one stage is faster: --stage cpu,threads=1,workers=1$/ : /slower/);
  assert.ok(plan.expected!.lowerBound > 0);
});

test('a plan that was made before TensorFlow was linked is not kept afterwards', async (t) => {
  const mlp = await openModel(await makeModel('mlp', join(folder, 'mlp')));
  const specs = mlp.inputs.map((input) => ({ ...input, shape: input.shape.slice(1) }));
  const request = { rowSpecs: specs, deadlineMs: 60_000, allowFallback: false, microBatch: 4, readTicks };
  const stages = [{ device: 'cpu', threads: 1 }];
  const provider = async () => (await settlePlan(mlp, { ...request, stages })).stages[0]!.provider;
  t.mock.method(tfjsEngine.providers.find(({ name }) => name === 'tensorflow')!, 'isInstalled', () => false);
  assert.equal(await provider(), 'wasm');
  t.mock.restoreAll();
  assert.equal(await provider(), 'tensorflow');
});

test('if every stage has named layers, nothing is measured', async () => {
  const stages = [
    { device: 'cpu', threads: 1, layers: { from: 0, to: 1 } },
    { device: 'cpu', threads: 1, layers: { from: 2, to: graph.layers.length - 1 } },
  ];
  const plan = await settle({ stages, onProgress: (text) => assert.fail(text) });
  assert.equal(plan.cutBy, 'layers');
});

test('a budget that no slice fits is refused before anything is loaded, with the smallest that would suffice, which then does', async () => {
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
  assert.equal(plan.isolation, 'process', 'budgets need a process for each stage');
  const pipeline = await Pipeline.open(graph, plan, { allowFallback: false, deadlineMs: 60_000 });
  try {
    await pipeline.warmUp(rowSpecs);
    for (const peak of await pipeline.peakRss()) assert.ok(peak! <= smallest * 2 ** 20);
  } finally {
    await pipeline.close();
  }
});

test('a stage that exceeds its budget once it is warm stops the pipeline', async () => {
  const plan = await settle({
    stages: [{ device: 'cpu', threads: 1, memory: 2 ** 30, layers: { from: 0, to: graph.layers.length - 1 } }],
  });
  const tight = { ...plan, stages: plan.stages.map((stage) => ({ ...stage, memory: 2 ** 20 })) };
  const pipeline = await Pipeline.open(graph, tight, { allowFallback: false, deadlineMs: 60_000 });
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

test('a plan whose processes exceed their budgets is made again once, with the measured bytes; then it is refused', async () => {
  const width = 2200;
  const layerBytes = 4 * width ** 2;
  const heavy = await openModel(makeOnnx('mlp', join(folder, 'heavy'), { layers: 6, hidden: width }));
  const specs = [{ ...heavy.inputs[0]!, shape: [width] }];
  const make = (memory: number, depth: number) => {
    const stages = [
      { device: 'cpu', threads: 1, memory },
      { device: 'cpu', threads: 1 },
    ];
    // A different depth makes a different plan, so it does not come from the cache.
    return settlePlan(heavy, {
      rowSpecs: specs,
      deadlineMs: 60_000,
      allowFallback: false,
      microBatch: 4,
      readTicks,
      stages,
      depth,
    });
  };
  const honest = await make(2 ** 40, 4);
  const pipeline = await Pipeline.openWarm(heavy, honest, specs, { allowFallback: false, deadlineMs: 60_000 });
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
