/** Blocks are what a person sees in the model, and alike blocks have one signature. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Graph } from '../../scripts/make-onnx/graph.js';
import { writeModel } from '../../scripts/make-onnx/model-file.js';
import { ONNX_MODELS } from '../../scripts/make-onnx.js';
import { blockSignatures } from '../../src/model/block-signature.js';
import { isLegalCut } from '../../src/model/cut.js';
import { memberOf } from '../../src/model/onnx/scope.js';
import { openModel } from '../../src/model/open.js';
import { made, temporaryFolder } from '../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);

test('a transformer is embeddings, encoder layers and a pooler', async () => {
  const { layers, ops } = await openModel(made(folder.path, 'transformer', { layers: 12 }));
  assert.deepEqual(
    layers.map(({ name }) => name),
    ['embeddings', ...Array.from({ length: 12 }, (_, n) => `encoder/layer.${n}`), 'pooler'],
  );
  assert.deepEqual([...new Set(layers.map(({ type }) => type))], ['embeddings', 'encoder layer', 'pooler']);
  assert.equal(layers.at(-1)!.to, ops.length);
});

test('alike blocks have one signature, others another', async () => {
  const [embeddings, ...rest] = blockSignatures(await openModel(made(folder.path, 'transformer', { layers: 4 })));
  const pooler = rest.pop();
  assert.equal(new Set(rest).size, 1);
  assert.equal(new Set([embeddings, rest[0], pooler]).size, 3);
  const [, wider] = blockSignatures(await openModel(made(folder.path, 'transformer', { layers: 4, ffn: 128 })));
  assert.notEqual(wider, rest[0]);
  const [, otherHeads] = blockSignatures(await openModel(made(folder.path, 'transformer', { layers: 4, heads: 2 })));
  assert.notEqual(otherHeads, rest[0], 'the same weights in other shapes on the way');
});

test('where ops have no names, the names of weights tell the modules', async () => {
  const g = new Graph('old_exporter');
  let x = g.input('x', 'float32', ['n', 8]);
  for (let n = 0; n < 3; n++) {
    // Older exporters turn a Linear's weight around and lose its name; the bias keeps its own.
    const product = g.node('MatMul', [x, g.weight(`onnx::MatMul_${n}`, [8, 8])]);
    const dense = g.node('Add', [product, g.weight(`encoder.layer.${n}.dense.bias`, [8])]);
    const sum = g.node('Add', [dense, x]);
    const norm = ['weight', 'bias'].map((part) => g.weight(`encoder.layer.${n}.norm.${part}`, [8]));
    x = g.node('LayerNormalization', [sum, ...norm]);
  }
  g.output(x);
  const graph = await openModel(writeModel(join(folder.path, 'old.onnx'), g));
  assert.deepEqual(
    graph.layers.map(({ name, type, from }) => [name, type, from]),
    [0, 1, 2].map((n) => [`encoder/layer.${n}`, 'encoder layer', 4 * n]),
  );
  assert.equal(new Set(blockSignatures(graph)).size, 1);
});

test('without names, blocks end where one value lives and each has weights', async () => {
  const g = new Graph('plain');
  let x = g.input('x', 'float32', ['n', 8]);
  for (let n = 0; n < 3; n++) {
    const inner = g.node('Relu', [g.node('MatMul', [x, g.weight(`a${n}`, [8, 8])])]);
    x = g.node('Add', [g.node('MatMul', [inner, g.weight(`b${n}`, [8, 8])]), x]);
  }
  g.output(x);
  const graph = await openModel(writeModel(join(folder.path, 'plain.onnx'), g));
  assert.deepEqual(
    graph.layers.map(({ from, to }) => [from, to]),
    [
      [0, 4],
      [4, 8],
      [8, 12],
    ],
  );
  assert.equal(new Set(blockSignatures(graph)).size, 1);
});

test('blocks cover every op of every model, and begin at legal cuts', async () => {
  for (const name of Object.keys(ONNX_MODELS).filter((name) => !['strings', 'bert', 'resnet-50'].includes(name))) {
    const graph = await openModel(made(folder.path, name));
    let at = 0;
    for (const { index, from, to } of graph.layers) {
      assert.equal(from, at, `${name}: layer ${index}`);
      assert.ok(index === 0 || isLegalCut(graph, from), `${name}: layer ${index}`);
      at = to;
    }
    assert.equal(at, graph.ops.length);
  }
});

const SCOPES: Record<string, string | undefined> = {
  'encoder/layer.3/attention/self': 'encoder/layer.3',
  'layer1/layer1.0/conv1': 'layer1/layer1.0',
  'transformer/h.11/mlp': 'transformer/h.11',
  'layers.0/blocks.1/attn': 'layers.0/blocks.1',
  'layers.2/mlp/net.0': 'layers.2',
  'block_7/conv': 'block_7',
  'embeddings/LayerNorm': undefined,
};

test('which module of a list an op belongs to', () => {
  for (const [scope, path] of Object.entries(SCOPES)) assert.equal(memberOf(scope.split('/'))?.path, path, scope);
});

test('an op that the newer PyTorch exporter asked no module for belongs to its neighbours', async () => {
  const g = new Graph('folded');
  const x = g.input('x', 'float32', ['n', 8]);
  let y = g.node('Mul', [x, g.weight('factor', [8])], { scopes: ['_empty_nn_module_stack_from_metadata_hook', 'mul'] });
  for (let n = 0; n < 2; n++) {
    const scopes = ['', `layers.${n}`, 'op'];
    y = g.node('Relu', [g.node('MatMul', [y, g.weight(`w${n}`, [8, 8])], { scopes })], { scopes });
  }
  g.output(y);
  const { layers } = await openModel(writeModel(join(folder.path, 'folded.onnx'), g));
  assert.deepEqual(
    layers.map(({ name, from }) => [name, from]),
    [
      ['layers.0', 0],
      ['layers.1', 3],
    ],
  );
});
