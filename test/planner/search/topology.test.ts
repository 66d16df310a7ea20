/** Topologies: the options of a stage on a card, named and measured. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../../scripts/make-onnx.js';
import { type ModelGraph, weightBytes } from '../../../src/model/graph.js';
import { openModel } from '../../../src/model/open.js';
import type { StageOptions } from '../../../src/plan/stage-options.js';
import {
  allocationsOf,
  namedTopologies,
  openTopologies,
  replicasOf,
  type Topology,
} from '../../../src/planner/search/topology.js';
import { settlePlan } from '../../../src/planner/settle.js';
import { chainGraph } from '../../fixtures/chain.js';

let folder: string;
let graph: ModelGraph;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-topology-'));
  process.env.XDG_CACHE_HOME = folder;
  process.env.TANDEM_TEST_CARD = folder;
  process.env.TANDEM_ENGINE_MODULE = new URL('../../fixtures/copying-engine.js', import.meta.url).href;
  graph = await openModel(makeOnnx('transformer', join(folder, 'transformer'), { layers: 1 }));
});
after(() => rmSync(folder, { recursive: true }));

const workersOf = ({ stages }: Topology) => stages.map((options) => options.map(({ workers }) => workers));

test('a card is given one worker or two, unless the user says how many or a process can have only one', () => {
  const tfjs: ModelGraph = { ...chainGraph(3), format: 'graph-model' };
  const named = (model: ModelGraph, stage: StageOptions) => namedTopologies(model, [stage], 4).map(workersOf);
  assert.deepEqual(named(tfjs, { device: 'gpu', provider: 'webgpu' }), [[[1, 2]]]);
  assert.deepEqual(named(tfjs, { device: 'gpu', provider: 'webgpu', workers: 3 }), [[[3]]]);
  assert.deepEqual(named(tfjs, { device: 'gpu', provider: 'webgpu', workers: 1 }), [[[1]]]);
  assert.deepEqual(named(chainGraph(3), { device: 'gpu', provider: 'webgpu' }), [[[1]]]);
  assert.deepEqual(named(chainGraph(3), { device: 'gpu', provider: 'cuda' }), [[[1, 2]]]);
});

test('two workers of a card are tried as well as one, and left out if the card cannot run them', () => {
  const tfjs: ModelGraph = { ...chainGraph(3), format: 'graph-model' };
  const topologies = openTopologies(tfjs, ['gpu'], 2);
  const names = topologies.map(({ name }) => name);
  assert.ok(names.includes('1 stage: gpu') && names.includes('1 stage: gpu, 2 workers'), names.join('; '));
  assert.deepEqual(workersOf(topologies.find(({ name }) => name === '2 stages: gpu, cpu')!)[0], [1, 2]);
  const onCard = allocationsOf(topologies).filter(({ device }) => device === 'gpu');
  assert.deepEqual(
    onCard.map(({ atOnce, optional }) => [atOnce, optional]),
    [
      [1, false],
      [2, true],
    ],
  );
  assert.ok(allocationsOf(topologies).at(-1)!.optional, 'what is optional comes last');
});

const settled = async (stage: StageOptions) => {
  const rowSpecs = graph.inputs.map((input) => ({ ...input, shape: [8] }));
  const request = { rowSpecs, deadlineMs: 60_000, allowFallback: false, microBatch: 2, stages: [stage] };
  const { stages, expected } = await settlePlan(graph, request);
  return { workers: stages[0]!.workers, expected: expected! };
};

test('if copies overlap with computing, two workers are chosen; one if the card has no memory for two', async () => {
  const card = { device: 'gpu', provider: 'custom' };
  const two = await settled(card);
  assert.equal(two.workers, 2);
  const one = await settled({ ...card, workers: 1 });
  assert.equal(one.workers, 1);
  assert.ok(two.expected.rowsPerSecond > one.expected.rowsPerSecond);
  assert.ok(two.expected.stages[0]!.bytes > 1.5 * one.expected.stages[0]!.bytes, 'the weights are held twice');

  const memory = Math.ceil(1.5 * weightBytes(graph, 0, graph.ops.length));
  assert.equal((await settled({ ...card, memory })).workers, 1, 'by the budget');
  assert.equal((await settled({ ...card, device: 'gpu:1' })).workers, 1, 'because two did not load');
});

test('of two replicas the faster device gets the larger share of the micro-batches, by measurement', async () => {
  process.env.TANDEM_ENGINE_MODULE = new URL('../../fixtures/slow-engine.js', import.meta.url).href;
  const rowSpecs = graph.inputs.map((input) => ({ ...input, shape: [8] }));
  const device = { provider: 'custom', threads: 1, workers: 1 };
  const stages = [
    { ...device, device: 'cpu:12' },
    { ...device, device: 'cpu:3', beside: true },
  ];
  const request = { rowSpecs, deadlineMs: 60_000, allowFallback: false, microBatch: 64, stages };
  const plan = await settlePlan(graph, request);
  const last = graph.layers.length - 1;
  assert.deepEqual(
    plan.stages.map(({ layers, beside = false }) => [layers, beside]),
    [
      [{ from: 0, to: last }, false],
      [{ from: 0, to: last }, true],
    ],
  );
  const [slow, fast] = plan.stages.map(({ turns }) => turns!);
  assert.ok(fast! > slow!, `${fast} micro-batches for the fast one, ${slow} for the slow one`);
  assert.ok(plan.expected!.verified);
  assert.ok(
    plan.depth >= (fast! + slow!) / slow!,
    'there are slots for the micro-batches that the fast one finishes meanwhile',
  );
  const named = await settlePlan(graph, { ...request, stages: [{ ...stages[0]!, turns: 2 }, stages[1]!] });
  assert.deepEqual(
    named.stages.map(({ turns }) => turns),
    [2, 1],
  );
});

test('a card and the CPU as replicas of one stage are considered', () => {
  const topologies = openTopologies({ ...chainGraph(3), format: 'graph-model' }, ['gpu'], 2);
  const topology = topologies.find(({ name }) => name === '1 stage: gpu + cpu')!;
  const replicaOptions = topology.stages[0]!.map((option) =>
    replicasOf(option).map(({ device, workers }) => `${workers} ${device}`),
  );
  assert.deepEqual(replicaOptions, [
    ['1 gpu', '1 cpu'],
    ['2 gpu', '1 cpu'],
  ]);
});

test('stages on the CPU have options, however few cores there are', () => {
  for (const cores of [1, 2, 3, 4, 8]) {
    for (let count = 1; count <= 9; count++) {
      const alone = new Array<StageOptions>(count).fill({ device: 'cpu' });
      const mixed: StageOptions[] = [{ device: 'gpu' }, ...alone, { device: 'cpu', threads: 2 }];
      const beside = alone.map((stage, n) => ({ ...stage, beside: n > 0 }));
      for (const stages of [alone, mixed, beside]) {
        const [topology] = namedTopologies(chainGraph(20), stages, cores);
        for (const options of topology!.stages) assert.ok(options.length > 0, `${cores} cores, ${count} stages`);
      }
    }
  }
});
