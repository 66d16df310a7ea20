/** Blocks are what a person sees in the model, and alike blocks have one signature. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ONNX_MODELS } from '../../scripts/make-onnx.js';
import { readRunnable } from '../../src/engine/runnable.js';
import { blockSignatures } from '../../src/model/block-signature.js';
import { isLegalCut } from '../../src/model/cut.js';
import { memberOf } from '../../src/model/onnx/scope.js';
import { openModel } from '../../src/model/open.js';
import { Graph } from '../../src/prove/models/graph.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { made, temporaryFolder } from '../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);

test('a transformer is embeddings, encoder layers in two parts each and a pooler', async () => {
  const { layers, ops } = await openModel(made(folder.path, 'transformer', { layers: 12 }));
  const encoder = Array.from({ length: 12 }, (_, n) =>
    ['attention', 'intermediate'].map((part) => `layer.${n}/${part}`),
  );
  assert.deepEqual(
    layers.map(({ name }) => name),
    ['embeddings', ...encoder.flat().map((name) => `encoder/${name}`), 'pooler'],
  );
  const types = ['embeddings', 'encoder layer attention', 'encoder layer intermediate', 'pooler'];
  assert.deepEqual([...new Set(layers.map(({ type }) => type))], types);
  assert.equal(layers.at(-1)!.to, ops.length);
});

test('alike blocks have one signature, others another', async () => {
  const signaturesOf = async (options: object) =>
    blockSignatures(await openModel(made(folder.path, 'transformer', { layers: 4, ...options })));
  const signatures = await signaturesOf({});
  const [embeddings, attention, network] = signatures;
  assert.deepEqual(signatures, [embeddings, ...new Array(4).fill([attention, network]).flat(), signatures.at(-1)]);
  assert.equal(new Set(signatures).size, 4);
  const [, , wider] = await signaturesOf({ ffn: 128 });
  assert.notEqual(wider, network);
  const [, otherHeads] = await signaturesOf({ heads: 2 });
  assert.notEqual(otherHeads, attention, 'the same weights in other shapes on the way');
});

test('a bottleneck of a ResNet is its convolutions, each with its activation', async () => {
  const { layers, ops } = await openModel(made(folder.path, 'resnet-50'));
  const typesIn = (block: string) =>
    layers
      .filter(({ name }) => name.startsWith(`${block}/`))
      .map(({ name, from, to }) => [name.slice(block.length + 1), ...ops.slice(from, to).map(({ type }) => type)]);
  assert.deepEqual(typesIn('stages.2/layers.1'), [
    ['conv1', 'Conv', 'Relu'],
    ['conv2', 'Conv', 'Relu'],
    ['conv3', 'Conv', 'Add', 'Relu'],
  ]);
  assert.deepEqual(typesIn('stages.2/layers.0'), [
    // The first convolution has less than an eighth of the block's weights.
    ['conv1', 'Conv', 'Relu', 'Conv', 'Relu'],
    ['conv3', 'Conv'],
    ['shortcut', 'Conv', 'Add', 'Relu'],
  ]);
});

test('where ops have no names, the names of weights tell the modules', async () => {
  const g = new Graph('old_exporter');
  let x = g.input('x', 'float32', ['n', 64]);
  for (let n = 0; n < 3; n++) {
    // Older exporters turn a Linear's weight around and lose its name; the bias keeps its own.
    const product = g.node('MatMul', [x, g.weight(`onnx::MatMul_${n}`, [64, 64])]);
    const dense = g.node('Add', [product, g.weight(`encoder.layer.${n}.dense.bias`, [64])]);
    const sum = g.node('Add', [dense, x]);
    const norm = ['weight', 'bias'].map((part) => g.weight(`encoder.layer.${n}.norm.${part}`, [64]));
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

test('without names, blocks end where one value lives, and are parted where two do; each has weights', async () => {
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
      [0, 2],
      [2, 4],
      [4, 6],
      [6, 8],
      [8, 10],
      [10, 12],
    ],
  );
  assert.equal(new Set(blockSignatures(graph)).size, 2);
});

test('blocks cover every op of every model, and begin at legal cuts', async () => {
  for (const name of Object.keys(ONNX_MODELS).filter(
    (name) => !['strings', 'bert', 'resnet-50', 'squeezenet'].includes(name),
  )) {
    const graph = await readRunnable(made(folder.path, name));
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
