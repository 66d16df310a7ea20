/** What an engine says of the tensors is what they turn out to be. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Graph, type } from '../../scripts/make-model/graph.js';
import { Layers } from '../../scripts/make-model/layers.js';
import { type MadeModel, writeModel } from '../../scripts/make-model/model-files.js';
import { MODELS } from '../../scripts/make-model.js';
import { tfjs } from '../../src/engine/tfjs/tfjs.js';
import { TandemError } from '../../src/errors.js';
import { legalCuts, liveTensors } from '../../src/model/cut.js';
import { openModel } from '../../src/model/open.js';
import { CPU, feedsOf, opened, runCutAll, temporaryFolder, tensorflow, written } from '../fixtures/tfjs-runs.js';

const { tf, skip } = tensorflow;
const folder = temporaryFolder();
after(folder.remove);

for (const name of Object.keys(MODELS)) {
  test(`${name}: every tensor across a legal cut is as described, for any number of rows`, { skip }, async () => {
    const graph = await opened(folder.path, name);
    const facts = await tfjs.describe(graph, CPU, feedsOf(graph, 1));
    const rows = 3;
    const held = await runCutAll(graph, legalCuts(graph), feedsOf(graph, rows));
    for (const tensor of new Set([...legalCuts(graph), 0, graph.ops.length].flatMap((k) => liveTensors(graph, k)))) {
      const fact = facts.get(tensor);
      // Left out: a dimension that is neither fixed nor the rows (here, rows times steps).
      if (!fact) assert.match(tensor, /(flat|MatMul|BiasAdd|Elu|find)$/);
      else {
        const { dtype, shape } = held.get(tensor)!;
        assert.deepEqual([tensor, fact.dtype, fact.shape.map((dim) => dim ?? rows)], [tensor, dtype, [...shape]]);
      }
    }
  });
}

test('the feeds tell the dimensions that a LayersModel leaves open', { skip }, async () => {
  const model = new Layers();
  const x = model.input('steps', [null as never, 3]);
  const graph = await written(folder.path, model.functional('open', [model.timeDistributedDense('timed', x, 2)]));
  const facts = await tfjs.describe(graph, CPU, [{ dtype: 'float32', shape: [1, 7, 3], data: new Float32Array(21) }]);
  assert.deepEqual(facts.get('steps'), { dtype: 'float32', shape: [null, 7, 3] });
  assert.deepEqual(facts.get('timed'), { dtype: 'float32', shape: [null, 7, 2] });
});

test('a layer that hands integers on is described so, though tfjs calls every tensor float32', { skip }, async () => {
  const model = new Layers();
  const tokens = model.input('tokens', [4], 'int32');
  const shaped = model.call('Reshape', 'shaped', [tokens], [2, 2], { target_shape: [2, 2] });
  const graph = await written(folder.path, model.functional('ints', [model.embedding('embed', shaped, 9, 3), shaped]));
  const facts = await tfjs.describe(graph, CPU, feedsOf(graph, 1));
  assert.equal(facts.get('shaped')!.dtype, 'int32');
  assert.deepEqual(facts.get('embed'), { dtype: 'float32', shape: [null, 2, 2, 3] });
});

test('a fixed batch stays a number, whatever number of rows is fed', { skip }, async () => {
  const path = await writeModel(mkdtempSync(join(folder.path, 'fixed-')), fixedBatch(), {
    seed: 1,
    shardBytes: 2 ** 20,
  });
  const graph = await openModel(path);
  assert.equal(graph.fixedBatch, 4);
  const one = [{ dtype: 'float32', shape: [1, 3], data: new Float32Array(3) }] as const;
  assert.deepEqual((await tfjs.describe(graph, CPU, one)).get('out'), { dtype: 'float32', shape: [4, 3] });
});

/** A GraphModel that takes four rows at a time. */
function fixedBatch(): MadeModel {
  const graph = new Graph();
  const x = graph.input('x', [3]);
  const made = graph.model({ out: graph.node('Relu', 'out', [x]) });
  const { inputs } = made.signature as { inputs: { x: { tensorShape: { dim: { size: string }[] } } } };
  inputs.x.tensorShape.dim[0]!.size = '4';
  return made;
}

test('a model that only takes one row is refused with the reason', { skip }, async () => {
  const graph = new Graph();
  const x = graph.input('x', [3]);
  const one = graph.node('Reshape', 'one', [x, graph.ints('shape', 1, 3)], {
    T: type('DT_FLOAT'),
    Tshape: type('DT_INT32'),
  });
  const model = await written(folder.path, graph.model({ out: graph.node('Relu', 'out', [one]) }));
  await assert.rejects(
    tfjs.describe(model, CPU, feedsOf(model, 1)),
    (error) =>
      error instanceof TandemError && error.code === 'TANDEM_ONE_ROW' && /one row but not with two/.test(error.message),
  );
});

test('describing leaves no tensor behind', { skip }, async () => {
  for (const name of ['residual-cnn', 'lstm-mask', 'transformer-graph', 'loop', 'tables']) {
    const graph = await opened(folder.path, name);
    await tfjs.describe(graph, CPU, feedsOf(graph, 1));
    const before = tf!.memory().numTensors;
    await tfjs.describe(graph, CPU, feedsOf(graph, 1));
    assert.equal(tf!.memory().numTensors, before, name);
  }
});
