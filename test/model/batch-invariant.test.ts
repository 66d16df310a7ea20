/** Ops prove that rows do not change each other, or leave it open; they never prove what is not so. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openModel } from '../../src/model/open.js';
import { Graph } from '../../src/prove/models/graph.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { made, temporaryFolder } from '../fixtures/onnx-runs.js';
import { opened } from '../fixtures/tfjs-runs.js';

const folder = temporaryFolder();
after(folder.remove);

test('chains of products, convolutions and what is done number by number are proven', async () => {
  for (const name of ['mlp', 'cnn', 'qdq', 'int4', 'int8-shared']) {
    assert.equal((await openModel(made(folder.path, name))).batchInvariant, true, name);
  }
  for (const name of ['mlp', 'mlp-graph']) {
    assert.equal((await opened(folder.path, name)).batchInvariant, true, name);
  }
});

const OPEN: Record<string, (g: Graph, x: string, weight: string) => string> = {
  'Softmax over the rows': (g, x) => g.node('Softmax', [x], { axis: 0 }),
  'Flatten of the rows': (g, x) => g.node('Flatten', [x], { axis: 0 }),
  'Gemm of turned rows': (g, x, weight) => g.node('Gemm', [x, weight], { transA: 1 }),
  'a product of rows with rows': (g, x) => g.node('MatMul', [x, x]),
  'weights times rows': (g, x, weight) => g.node('MatMul', [weight, x]),
  'statistics of the micro-batch': (g, x) =>
    g.node('BatchNormalization', [x, ...['a', 'b', 'c', 'd'].map((name) => g.weight(name, [6]))], {
      outputs: 3,
      training_mode: 1,
    }),
  'an op of another house': (g, x) => g.node('Relu', [x], { domain: 'somebody.else' }),
};

for (const [what, build] of Object.entries(OPEN)) {
  test(`${what} proves nothing`, async () => {
    const g = new Graph('open');
    g.output(build(g, g.input('x', 'float32', ['n', 6]), g.weight('w', [6, 6])));
    assert.equal((await openModel(writeModel(join(folder.path, 'open.onnx'), g))).batchInvariant, false);
  });
}

test('inputs of several ranks prove nothing: they may be spread over each other', async () => {
  const g = new Graph('spread');
  g.output(g.node('Add', [g.input('x', 'float32', ['n', 6]), g.input('y', 'float32', ['n', 1, 6])]));
  assert.equal((await openModel(writeModel(join(folder.path, 'spread.onnx'), g))).batchInvariant, false);
});
