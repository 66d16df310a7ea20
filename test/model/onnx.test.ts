/** Reading ONNX graphs: ops, weights and inputs as they are, cuts where they may be, and a coded error for the rest. */
import assert from 'node:assert/strict';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { legalCuts, liveTensors } from '../../src/model/cut.js';
import { weightBytes } from '../../src/model/graph.js';
import { GRAPH, MODEL, TENSOR } from '../../src/model/onnx/schema.js';
import { sliceProto } from '../../src/model/onnx/slice-proto.js';
import { WireWriter } from '../../src/model/onnx/wire-writer.js';
import { readOnnx } from '../../src/model/onnx.js';
import { openModel } from '../../src/model/open.js';
import { sliceOf } from '../../src/model/slice.js';
import { Graph } from '../../src/prove/models/graph.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { feedsOf, likeness, made, runCut, temporaryFolder } from '../fixtures/onnx-runs.js';

const folder = temporaryFolder();
after(folder.remove);

let count = 0;
/** Writes a graph of the test's own. */
function written(graph: Graph, options: Parameters<typeof writeModel>[2] = {}): string {
  return writeModel(join(folder.path, `own-${count++}.onnx`), graph, options);
}

test('the graph of an MLP: inputs with free rows, ops in order, weights by name', async () => {
  const graph = await openModel(made(folder.path, 'mlp', { layers: 2 }));
  assert.deepEqual(graph.inputs, [{ name: 'x', dtype: 'float32', shape: [null, 16] }]);
  assert.deepEqual(graph.outputs, ['/layers.1/Relu_output_0']);
  assert.deepEqual(graph.ops[0], {
    index: 0,
    name: '/layers.0/MatMul',
    type: 'MatMul',
    inputs: ['x'],
    outputs: ['/layers.0/MatMul_output_0'],
    weights: ['w0'],
  });
  assert.deepEqual(graph.weights.get('b1'), { name: 'b1', dtype: 'float32', shape: [16], bytes: 64 });
  assert.equal(weightBytes(graph, 0, graph.ops.length), 2 * (16 * 16 + 16) * 4);
  assert.equal(graph.fixedBatch, null);
});

test('a folder as on the hub opens, and the weights lie behind its links', async () => {
  const real = made(folder.path, 'transformer', { external: true });
  const blobs = join(folder.path, 'hub', 'blobs');
  const snapshot = join(folder.path, 'hub', 'snapshots', '1', 'onnx');
  mkdirSync(blobs, { recursive: true });
  mkdirSync(snapshot, { recursive: true });
  for (const [name, blob] of [
    ['model.onnx', 'a1'],
    ['model.onnx_data', 'b2'],
  ] as const) {
    writeFileSync(join(blobs, blob), readFileSync(real.replace('model.onnx', name)));
    symlinkSync(join('..', '..', '..', 'blobs', blob), join(snapshot, name));
  }
  const graph = await openModel(join(folder.path, 'hub', 'snapshots', '1'));
  assert.equal(graph.folder, blobs);
  const feeds = feedsOf(graph, 1);
  assert.equal(likeness(await runCut(graph, [40], feeds), await runCut(await openModel(real), [40], feeds)), 'same');
});

test('bodies read outer values and weights, and both count as inputs of their op', async () => {
  const graph = await openModel(made(folder.path, 'control-flow'));
  const branch = graph.ops.find(({ type }) => type === 'If')!;
  assert.deepEqual([...branch.inputs].sort(), ['/Greater_output_0', '/MatMul_output_0', 'x']);
  assert.deepEqual(branch.weights, ['w']);
  assert.deepEqual(liveTensors(graph, branch.index + 1), ['/MatMul_output_0', '/If_output_0']);
});

test('initialisers that are inputs too are weights, sparse ones and Constants as well', async () => {
  const graph = await openModel(made(folder.path, 'odd-weights'));
  assert.deepEqual(
    graph.inputs.map(({ name }) => name),
    ['x'],
  );
  assert.deepEqual([...graph.weights.keys()].sort(), ['/constant_output_0', 'overridable', 'sparse', 'turned']);
  // Engines fill it up.
  assert.equal(graph.weights.get('sparse')!.bytes, 16 * 16 * 4);
});

test('what is made of weights alone goes into each slice that reads it: no cut carries it', async () => {
  const graph = await openModel(made(folder.path, 'odd-weights'));
  assert.ok(!graph.ops.some(({ type }) => type === 'Transpose' || type === 'Constant'));
  for (const k of legalCuts(graph)) assert.ok(!liveTensors(graph, k).includes('/turned_output_0'));
});

test('sequences are not cut', async () => {
  const sequences = await openModel(made(folder.path, 'sequences'));
  assert.deepEqual(legalCuts(sequences), [1, 4, 5]);
});

test('text at the edge is refused by code, text inside forbids its cuts', async () => {
  const refused = { code: 'TANDEM_MODEL_UNSUPPORTED', message: /"text".*string/ };
  await assert.rejects(openModel(made(folder.path, 'strings')), refused);
  const inner = await openModel(made(folder.path, 'inner-strings'));
  assert.deepEqual(
    legalCuts(inner).map((k) => inner.ops[k]!.type),
    ['Gather', 'Not'],
  );
});

test('nodes out of order are put in order; a cycle, a missing and a doubled value are refused', async () => {
  const unsorted = new Graph('unsorted');
  unsorted.input('x', 'float32', ['n']);
  unsorted.output(unsorted.node('Neg', ['unsorted_1']), 'float32', ['n']);
  unsorted.node('Abs', ['x']);
  const graph = await openModel(written(unsorted));
  assert.deepEqual(
    graph.ops.map(({ type }) => type),
    ['Abs', 'Neg'],
  );
  const cyclic = new Graph('cyclic');
  cyclic.output(cyclic.node('Neg', ['cyclic_1']));
  cyclic.node('Abs', ['cyclic_0']);
  await assert.rejects(openModel(written(cyclic)), { code: 'TANDEM_MODEL_INVALID', message: /wait for each other/ });
  const orphan = new Graph('orphan');
  orphan.output(orphan.node('Neg', ['nobody']));
  await assert.rejects(openModel(written(orphan)), {
    code: 'TANDEM_MODEL_INVALID',
    message: /nothing makes the value "nobody"/,
  });
  const doubled = new Graph('doubled');
  doubled.input('doubled_0', 'float32', ['n']);
  doubled.output(doubled.node('Neg', ['doubled_0']));
  await assert.rejects(openModel(written(doubled)), { code: 'TANDEM_MODEL_INVALID', message: /made twice/ });
});

test('a fixed batch is known, and optional inputs that are not given are not inputs', async () => {
  const fixed = new Graph('fixed');
  const x = fixed.input('x', 'float32', [4, 3]);
  fixed.output(
    fixed.node('Clip', [x, '', fixed.constant('top', { dtype: 'float32', shape: [], data: Float32Array.of(1) })]),
  );
  const graph = await openModel(written(fixed));
  assert.equal(graph.fixedBatch, 4);
  assert.deepEqual(graph.ops[0]!.inputs, ['x']);
});

test('a slice is small: weights are pointers into the original file', () => {
  const model = readOnnx(made(folder.path, 'mlp', { layers: 4, hidden: 256 }));
  const slice = sliceOf(model.graph, 0, 6);
  const bytes = sliceProto(model, { ...slice, types: new Map([['x', model.proto.inputs[0]!.type!]]) });
  assert.equal(weightBytes(model.graph, 0, 6), 2 * (256 * 256 + 256) * 4);
  assert.ok(bytes.length < 4096, `${bytes.length} bytes`);
  const [location] =
    Buffer.from(bytes)
      .toString('latin1')
      .match(/model\.onnx/) ?? [];
  assert.equal(location, 'model.onnx');
});

test('weights beyond 2 GiB into the file are found, and the file is not read through', async () => {
  const path = join(folder.path, 'big.onnx');
  writeBig(path, 3 * 2 ** 30);
  const graph = await openModel(path);
  assert.deepEqual(graph.weights.get('huge')!.shape, [3 * 2 ** 28]);
  const outputs = await runCut(graph, [], [{ dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) }]);
  assert.deepEqual([...outputs[0]!.data], [11, 22]);
});

/** Neg(x * late) where `late` lies behind a weight of `hole` bytes that nothing reads and that takes no disk. */
function writeBig(path: string, hole: number): void {
  const small = new Graph('big');
  const product = small.node('Add', [small.input('x', 'float32', [2]), 'late']);
  small.output(product, 'float32', [2]);
  const late = new WireWriter().integer(TENSOR.dims, 2).integer(TENSOR.dataType, 1).text(TENSOR.name, 'late');
  late.block(TENSOR.rawData, new Uint8Array(Float32Array.of(10, 20).buffer));
  const after = new WireWriter().raw(small.bytes()).block(GRAPH.initializer, late.bytes()).bytes();
  const head = new WireWriter()
    .integer(TENSOR.dims, hole / 4)
    .integer(TENSOR.dataType, 1)
    .text(TENSOR.name, 'huge')
    .bytes();
  const tag = lengthOf(TENSOR.rawData, hole);
  const tensor = lengthOf(GRAPH.initializer, head.length + tag.length + hole);
  const graph = lengthOf(MODEL.graph, tensor.length + head.length + tag.length + hole + after.length);
  const model = new WireWriter()
    .integer(MODEL.irVersion, 8)
    .message(MODEL.opsetImport, (m) => m.integer(2, 17))
    .bytes();
  const before = Buffer.concat([model, graph, tensor, head, tag]);
  const file = openSync(path, 'w');
  writeSync(file, before);
  ftruncateSync(file, before.length + hole);
  writeSync(file, after, 0, after.length, before.length + hole);
  closeSync(file);
}

/** A length-delimited field's tag and length, its bytes to follow. */
function lengthOf(field: number, length: number): Uint8Array {
  const tag = new WireWriter().integer(field, length).bytes().slice();
  tag[0]! += 2;
  return tag;
}

test('a newer exporter names modules in metadata, and blocks follow it', async () => {
  const g = new Graph('dynamo');
  let x = g.input('x', 'float32', ['n', 4]);
  for (const n of [0, 1]) {
    for (const op of ['Relu', 'Tanh'])
      x = g.node(op, [x], { name: `node_${op}_${n}`, scopes: ['', `model.layers.${n}`, op] });
  }
  g.output(x);
  const { layers } = await openModel(written(g));
  assert.deepEqual(
    layers.map(({ name, type }) => [name, type]),
    [
      ['model/layers.0', 'model layers'],
      ['model/layers.1', 'model layers'],
    ],
  );
});

test('what is not an ONNX model is refused', async () => {
  const file = join(folder.path, 'not.onnx');
  for (const text of ['', 'hello, this is text', '\x08\x07', '\x08\x02\x3a\x00']) {
    writeFileSync(file, text);
    await assert.rejects(openModel(file), { code: /^TANDEM_MODEL_(INVALID|UNSUPPORTED)$/ });
  }
});
