/** Reading LayersModels: which ops they become, in what order, with whose weights, where they may be cut, and what is refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { Layers } from '../../scripts/make-model/layers.js';
import type { MadeModel } from '../../scripts/make-model/model-files.js';
import { makeModel } from '../../scripts/make-model.js';
import { TandemError } from '../../src/errors.js';
import { legalCuts } from '../../src/model/cut.js';
import { type LayersModelGraph, readLayersModel } from '../../src/model/layers-model.js';

type Json = Record<string, unknown>;

/** The graph of a topology that has no weights. */
const read = (modelTopology: unknown): Promise<LayersModelGraph> =>
  readLayersModel('/nowhere/model.json', { modelTopology });
const readMade = (model: MadeModel) => read(model.modelTopology);

/** The graph of a model that make-model writes. */
async function readNamed(name: string): Promise<LayersModelGraph> {
  const file = await makeModel(name, mkdtempSync(join(tmpdir(), 'tandem-layers-')));
  return readLayersModel(file, JSON.parse(readFileSync(file, 'utf8')));
}

/** `name: inputs -> outputs` of every op. */
const lines = ({ ops }: LayersModelGraph) =>
  ops.map(({ name, inputs, outputs }) => `${name}: ${inputs.join(' ')} -> ${outputs.join(' ')}`);

const sequential = (...layers: readonly Json[]) => ({ class_name: 'Sequential', config: { name: 'model', layers } });
const layer = (class_name: string, config: Json) => ({ class_name, config });
const functional = (layers: readonly Json[], inputs: unknown, outputs: unknown) => ({
  class_name: 'Functional',
  config: { name: 'model', layers, input_layers: inputs, output_layers: outputs },
});
const input = (name: string, config: Json = {}) => ({
  name,
  class_name: 'InputLayer',
  config: { name, batch_input_shape: [null, 4], ...config },
  inbound_nodes: [],
});
const call = (name: string, class_name: string, ...calls: readonly (readonly string[])[]) => ({
  name,
  class_name,
  config: { name },
  inbound_nodes: calls.map((from) =>
    from.map((ref) => [ref.split(':')[0], Number(ref.split(':')[1] ?? 0), Number(ref.split(':')[2] ?? 0), {}]),
  ),
});

function refused(modelTopology: unknown, code: string, message: RegExp): Promise<void> {
  return assert.rejects(read(modelTopology), (error) => {
    assert.ok(error instanceof TandemError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.notEqual(error.remedy, '');
    return true;
  });
}

test('a Sequential is a chain, with the input that tfjs makes for it', async () => {
  const graph = await read(
    sequential(layer('Dense', { name: 'a', batch_input_shape: [null, 3] }), layer('Dense', { name: 'b' })),
  );
  assert.deepEqual(graph.inputs, [{ name: 'a_input', dtype: 'float32', shape: [null, 3] }]);
  assert.deepEqual(lines(graph), ['a: a_input -> a', 'b: a -> b']);
  assert.deepEqual(graph.outputs, ['b']);
  assert.equal(graph.fixedBatch, null);
});

test('the forms of one topology read alike: camelCase, without model_config, an old list of layers', async () => {
  const layers = [
    layer('InputLayer', { name: 'x', batch_input_shape: [null, 3], dtype: 'int32' }),
    layer('Dense', { name: 'a' }),
  ];
  const camel = [
    { className: 'InputLayer', config: { name: 'x', batchInputShape: [null, 3], dtype: 'int32' } },
    { className: 'Dense', config: { name: 'a' } },
  ];
  const forms = [
    sequential(...layers),
    { model_config: sequential(...layers), keras_version: '2.15' },
    { modelConfig: { className: 'Sequential', config: { layers: camel } } },
    { class_name: 'Sequential', config: layers },
  ];
  for (const form of forms) {
    const graph = await read(form);
    assert.deepEqual(lines(graph), ['a: x -> a']);
    assert.deepEqual(graph.inputs, [{ name: 'x', dtype: 'int32', shape: [null, 3] }]);
  }
});

test('shared layers are one op per call, and their weights belong to both', async () => {
  const graph = await readNamed('two-in-two-out');
  assert.deepEqual(lines(graph), [
    'left_in: left -> left_in',
    'shared: left_in -> shared',
    'right_in: right -> right_in',
    'shared:1: right_in -> shared:1:0',
    'early: shared:1:0 -> early',
    'concat: shared shared:1:0 -> concat',
    'join: concat -> join',
    'skip: join left -> skip',
    'late: skip -> late',
  ]);
  const weights = (name: string) => graph.ops.find((op) => op.name === name)?.weights;
  assert.deepEqual(weights('shared'), ['shared/kernel', 'shared/bias']);
  assert.deepEqual(weights('shared:1'), weights('shared'));
  assert.deepEqual(graph.outputs, ['late', 'early']);
});

test('nested models are one op, states are further tensors, wrapped and nested weights are found by their owners', async () => {
  const graph = await readNamed('nested');
  assert.deepEqual(lines(graph), [
    'lstm: steps -> lstm lstm:0:2',
    'timed: lstm -> timed',
    'both: timed -> both',
    'block: both -> block',
    'block:1: lstm:0:2 -> block:1:0',
    'sum: block block:1:0 -> sum',
    'scores: sum -> scores',
  ]);
  assert.deepEqual(graph.ops[3]!.weights, ['inner_dense/kernel', 'inner_dense/bias']);
  assert.equal(graph.ops[2]!.weights.length, 6);
  const called = graph.calls.map(({ layer, node, tensors }) => ({ layer, node, tensors }));
  assert.deepEqual(called[0], { layer: 'lstm', node: 0, tensors: [0, 2] });
  assert.deepEqual(called[4], { layer: 'block', node: 2, tensors: [0] });
  assert.equal((graph.calls[0]!.config as { units: number }).units, 6);
  assert.deepEqual([...graph.outputNames!], [['block:1:0', 'block']]);
});

test('a nested model at the head of a Sequential brings its input along', async () => {
  const inner = functional([input('x'), call('d', 'Dense', ['x'])], [['x', 0, 0]], [['d', 0, 0]]);
  const graph = await read(
    sequential({ ...inner, config: { ...inner.config, name: 'inner' } }, layer('Dense', { name: 'end' })),
  );
  assert.deepEqual(lines(graph), ['inner: x -> inner', 'end: inner -> end']);
  assert.equal(graph.calls[0]!.node, 0);
});

test('layers in any order are put behind what they read, and calls are counted as tfjs makes them', async () => {
  const layers = [call('z', 'Dense', ['y'], ['x']), call('y', 'Dense', ['x']), input('x')];
  // In the first round only the second call of z can be made, so tfjs takes it for the first one.
  const graph = await read(
    functional(
      layers,
      [['x', 0, 0]],
      [
        ['z', 0, 0],
        ['z', 1, 0],
      ],
    ),
  );
  assert.deepEqual(lines(graph), ['z: x -> z', 'y: x -> y', 'z:1: y -> z:1:0']);
  assert.deepEqual(graph.outputs, ['z', 'z:1:0']);
  // Two outputs of one layer keep their tensors' names, or one would hide the other.
  assert.deepEqual([...graph.outputNames!], []);
});

test('what no output needs is no op, and an input may be an output', async () => {
  const layers = [input('x'), input('y'), call('a', 'Dense', ['x']), call('dead', 'Dense', ['a'])];
  const graph = await read(
    functional(
      layers,
      [
        ['x', 0, 0],
        ['y', 0, 0],
      ],
      [
        ['a', 0, 0],
        ['y', 0, 0],
      ],
    ),
  );
  assert.deepEqual(lines(graph), ['a: x -> a']);
  assert.deepEqual(graph.outputs, ['a', 'y']);
});

test('weights go to the longest layer name that they begin with', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'tandem-layers-')), 'model.json');
  const manifest = JSON.parse(readFileSync(await makeModel('mlp', dirname(file)), 'utf8'));
  const names = ['a/kernel', 'a/b/kernel', 'a/b/lstm_cell/kernel', 'ab/kernel', 'other/kernel'];
  manifest.weightsManifest = [{ paths: [], weights: names.map((name) => ({ name, shape: [0], dtype: 'float32' })) }];
  manifest.modelTopology = sequential(
    layer('Dense', { name: 'a', batch_input_shape: [null, 3] }),
    layer('LSTM', { name: 'a/b' }),
  );
  const graph = await readLayersModel(file, manifest);
  assert.deepEqual(
    graph.ops.map((op) => op.weights),
    [['a/kernel'], ['a/b/kernel', 'a/b/lstm_cell/kernel']],
  );
});

test('no cut parts a mask from the last layer that may read it', async () => {
  const graph = await readNamed('lstm-mask');
  assert.deepEqual(
    graph.ops.map(({ name }) => name),
    ['embed', 'lstm_0', 'lstm_1', 'hidden', 'scores'],
  );
  assert.deepEqual(legalCuts(graph), [3, 4]);
  const masking = (...rest: readonly Json[]) =>
    read(sequential(layer('Masking', { name: 'm', batch_input_shape: [null, 2, 3] }), ...rest));
  assert.deepEqual(legalCuts(await masking(layer('Dense', { name: 'a' }), layer('Dense', { name: 'b' }))), [1, 2]);
  assert.deepEqual(legalCuts(await masking(layer('Dense', { name: 'a' }), layer('Softmax', { name: 'b' }))), []);
});

test('with masks the ops stand in the order in which tfjs runs them', async () => {
  const model = new Layers();
  const x = model.input('tokens', [3]);
  const a = model.lstm('first', model.embedding('masked', x, 5, 4, true), 4);
  const b = model.lstm('second', model.embedding('plain', x, 5, 4), 4);
  // The executor walks back from the output and takes the last input first.
  assert.deepEqual(
    (await readMade(model.functional('m', [model.add('sum', a, b)]))).ops.map(({ name }) => name),
    ['plain', 'second', 'masked', 'first', 'sum'],
  );
});

test('a batch size in the file is the only one', async () => {
  const graph = await read(sequential(layer('Dense', { name: 'a', batch_input_shape: [8, 3] })));
  assert.equal(graph.fixedBatch, 8);
});

test('what tfjs cannot run is refused, with a way out', async () => {
  const first = { name: 'a', batch_input_shape: [null, 3] };
  const rnn = (config: Json) => layer('LSTM', { name: 'r', ...config });
  await refused(
    sequential(layer('Dense', first), rnn({ stateful: true })),
    'TANDEM_MODEL_UNSUPPORTED',
    /r is stateful/,
  );
  await refused(
    sequential(layer('TimeDistributed', { ...first, layer: rnn({ stateful: true }) })),
    'TANDEM_MODEL_UNSUPPORTED',
    /r is stateful/,
  );
  await refused({ class_name: 'Graph', config: { name: 'g' } }, 'TANDEM_MODEL_UNSUPPORTED', /is a Graph/);
  await refused(
    sequential(layer('Dense', { ...first, dtype: 'string' })),
    'TANDEM_MODEL_UNSUPPORTED',
    /a_input has dtype string/,
  );
  const keras3 = [
    sequential(layer('InputLayer', { name: 'x', batch_shape: [null, 3] }), layer('Dense', { name: 'a' })),
    functional(
      [
        input('x'),
        { name: 'a', class_name: 'Dense', config: { name: 'a' }, inbound_nodes: [{ args: [], kwargs: {} }] },
      ],
      [['x', 0, 0]],
      [['a', 0, 0]],
    ),
  ];
  for (const model of keras3) await refused(model, 'TANDEM_MODEL_UNSUPPORTED', /Keras 3/);
});

test('two layers that could own a weight are refused, for tfjs cannot tell them apart', async () => {
  const file = await makeModel('nested', mkdtempSync(join(tmpdir(), 'tandem-layers-')));
  const text = readFileSync(file, 'utf8').replaceAll('"timed"', '"inner_dense"');
  await assert.rejects(
    readLayersModel(file, JSON.parse(text)),
    (error) =>
      error instanceof TandemError &&
      error.code === 'TANDEM_MODEL_UNSUPPORTED' &&
      /inner_dense\/kernel/.test(error.message),
  );
});

test('a damaged topology is refused at the door: tfjs would loop for ever on some of these', async () => {
  const x = [['x', 0, 0]];
  const good = [input('x'), call('a', 'Dense', ['x'])];
  const damaged: [unknown, RegExp][] = [
    [undefined, /modelTopology/],
    [{}, /class_name/],
    [sequential(), /layers/],
    [sequential(layer('Dense', {})), /name/],
    [sequential(layer('Dense', { name: 'a' })), /no shape/],
    [sequential(layer('Dense', { name: '__proto__', batch_input_shape: [null, 1] })), /a name that tfjs cannot use/],
    [sequential(layer('Dense', { name: 'constructor', batch_input_shape: [null, 1] })), /a name that tfjs cannot use/],
    [sequential(layer('Dense', { name: 'a:1', batch_input_shape: [null, 1] })), /a name that tfjs cannot use/],
    [
      sequential(layer('Dense', { name: 'a', batch_input_shape: [null, 1] }), layer('Dense', { name: 'a' })),
      /two layers named a/,
    ],
    [
      sequential(layer('Dense', { name: 'a', batch_input_shape: [null, 1] }), layer('Dense', { name: 'a_input' })),
      /named like its input/,
    ],
    [functional(good, x, [['gone', 0, 0]]), /gone, a layer that it does not have/],
    [functional(good, x, [['a', 1, 0]]), /call 1 of a, which is never made/],
    [functional(good, [['a', 0, 0]], [['a', 0, 0]]), /lists a as an input/],
    [functional(good, ['x', 0, 0], [['a', 0, 0]]), /input_layers/],
    [functional([input('x'), call('a', 'Dense', ['gone'])], x, [['a', 0, 0]]), /gone, a layer that it does not have/],
    [
      functional([input('x'), call('a', 'Dense', ['b']), call('b', 'Dense', ['a'])], x, [['a', 0, 0]]),
      /wait for each other.*a, b/,
    ],
    [functional([input('x'), input('y'), call('a', 'Add', ['x', 'y'])], x, [['a', 0, 0]]), /wait for each other/],
    [functional([input('x'), call('a', 'Dense', ['x:-1'])], x, [['a', 0, 0]]), /inbound_nodes/],
    [
      functional([input('x'), { ...call('a', 'Dense', ['x']), name: 'b' }], x, [['a', 0, 0]]),
      /calls its layer a also b/,
    ],
  ];
  for (const [topology, message] of damaged) {
    await assert.rejects(read(topology), (error) => {
      assert.ok(error instanceof TandemError, String(error));
      assert.match(error.code, /TANDEM_MODEL_(INVALID|UNSUPPORTED)/);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.equal(({} as Json).polluted, undefined);
});
