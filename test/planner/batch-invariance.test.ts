/** Batch invariance is detected without false alarms: of the small test models only those made for it depend on the other rows. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MODELS } from '../../scripts/make-model.js';
import { ONNX_MODELS } from '../../scripts/make-onnx.js';
import { openPipeline } from '../../src/job/open-pipeline.js';
import { fedInputs } from '../../src/model/fed-inputs.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { findInvariance } from '../../src/planner/batch-invariance.js';
import { makePlan } from '../../src/planner/make-plan.js';
import { Graph } from '../../src/prove/models/graph.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { made, temporaryFolder } from '../fixtures/onnx-runs.js';
import { opened, tensorflow } from '../fixtures/tfjs-runs.js';

const folder = temporaryFolder();
const cacheBefore = process.env.XDG_CACHE_HOME;
before(() => {
  process.env.XDG_CACHE_HOME = join(folder.path, 'cache');
});
after(() => {
  if (cacheBefore === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cacheBefore;
  folder.remove();
});

const DEADLINE_MS = 60_000;
const LARGE = new Set(['resnet-50', 'bert']);
/** Models that rows of zeros do not fit: decoders, whose mask is as long as cache and tokens together. Models that are refused: text inputs, rows whose axis must be named, an output that does not follow the rows, a model of one row. */
const REFUSED = new Set([
  'decoder-concat',
  'decoder-in-place',
  'strings',
  'odd-weights',
  'disagreeing',
  'one-inside',
  'rankless',
  'state-beside',
  'time-major-unnamed',
  'voice',
]);
/** Models whose rows depend on one another, such as a branch chosen by the sum or the mean of all rows. */
const DEPENDENT = new Set([
  'control-flow',
  'dynamic',
  'centred',
  'batch-statistics',
  'rows-see-rows',
  'running',
  'centred-graph',
  'branch',
]);

async function found(graph: ModelGraph): Promise<boolean | null> {
  const rowSpecs = fedInputs(graph).map((spec) => ({ ...spec, shape: spec.shape.slice(1).map((dim) => dim ?? 5) }));
  const layers = { from: 0, to: graph.layers.length - 1 };
  const stages = [{ device: 'cpu', layers, threads: 1 }];
  const plan = await makePlan(graph, { stages, rowSpecs, deadlineMs: DEADLINE_MS, isolation: 'thread' });
  const pipeline = await Pipeline.openWarm(graph, plan, rowSpecs, { allowFallback: false, deadlineMs: DEADLINE_MS });
  try {
    return await findInvariance(pipeline, { rowSpecs, stages });
  } finally {
    await pipeline.close();
  }
}

for (const name of Object.keys(ONNX_MODELS).filter((each) => !LARGE.has(each) && !REFUSED.has(each))) {
  test(`${name}, ONNX`, async () => {
    const graph = await openModel(made(folder.path, name));
    const expected = !DEPENDENT.has(name);
    if (!expected) assert.equal(graph.batchInvariant, false, 'its ops do not prove it');
    assert.equal(await found(graph), expected);
  });
}

for (const name of Object.keys(MODELS)) {
  test(`${name}, TensorFlow.js`, { skip: tensorflow.skip }, async () => {
    const graph = await opened(folder.path, name);
    const expected = !DEPENDENT.has(name);
    if (!expected) assert.equal(graph.batchInvariant, false, 'its ops do not prove it');
    assert.equal(await found(graph), expected);
  });
}

test('through the library each row has the same answer as alone, also if only the rows give the shapes', async () => {
  const g = new Graph('open');
  const mean = g.node('ReduceMean', [g.input('x', 'float32', ['n', 'width']), g.integers('axes', [0])], {
    keepdims: 1,
  });
  g.output(g.node('Sub', ['x', mean], { as: 'y' }), 'float32', ['n', 'width']);
  const model = writeModel(join(folder.path, 'open.onnx'), g);
  const stages = [{ device: 'cpu' }] as const;
  const answersOf = async (options: object) => {
    await using pipeline = await openPipeline(model, { stages, ...options });
    const answers: unknown[] = [];
    for await (const result of pipeline.run([
      [1, 2],
      [40, 3],
      [5, 6],
    ])) {
      assert.ok('outputs' in result);
      answers.push([...(result.outputs.y!.data as Float32Array)]);
    }
    return { answers, batchInvariant: pipeline.plan.batchInvariant, microBatch: pipeline.plan.microBatch };
  };
  const zeros = [0, 0];
  const alone = { answers: [zeros, zeros, zeros], batchInvariant: false, microBatch: 1 };
  assert.deepEqual(await answersOf({}), alone);
  assert.deepEqual(await answersOf({}), alone, 'from the stored result');
  const together = await answersOf({ microBatch: 3 });
  assert.equal(together.batchInvariant, false);
  assert.notDeepEqual(together.answers, alone.answers);
});
