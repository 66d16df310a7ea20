/** `tandem inspect`: a table for people, the same in JSON, for every kind of model. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { formatInspection } from '../../src/cli/print-inspection.js';
import { inspect } from '../../src/job/inspect-graph.js';
import type { Inspection } from '../../src/job/inspection.js';
import { openModel } from '../../src/model/open.js';
import { assertFails, start, TANDEM, tandem } from './tandem-process.js';

/** The repository. */
const ROOT = join(import.meta.dirname, '../../..');
const cwd = mkdtempSync(join(tmpdir(), 'tandem-inspect-'));

before(async () => {
  await makeModel('two-in-two-out', join(cwd, 'two'));
  await makeModel('mlp-graph', join(cwd, 'graph'), { blocks: 1 });
  await makeModel('lstm-mask', join(cwd, 'lstm'));
  makeOnnx('mlp', join(cwd, 'onnx'), { layers: 3, hidden: 8 });
  makeOnnx('transformer', join(cwd, 'open'), { layers: 1 });
});
after(() => rmSync(cwd, { recursive: true }));

async function inspected(model: string, ...flags: string[]): Promise<string> {
  const { status, stdout, stderr } = await tandem(['inspect', model, ...flags], { cwd });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  return String(stdout);
}

const onAxis0 = (how: string) => ({ lie: 'axis', axis: 0, how });

suite('tandem inspect', { concurrency: 2 }, () => {
  test('a LayersModel with two inputs and two outputs, shared layers and a skip', async () => {
    assert.equal(
      await inspected('two'),
      `layers-model: 9 layers, 2.4 KiB of weights, 1.45 k FLOPs a row (counted, an estimate)
in   left float32 [?, 8], right float32 [?, 8]
out  late float32 [?, 3], early float32 [?, 2]
rows on axis 0 of left, right, late, early: the batch axis of a Keras model

layer  name      type         output           weights  FLOPs/row  live before it/row
    0  left_in   Dense        float32 [?, 12]    432 B        192                64 B
    1  shared    Dense        float32 [?, 12]    624 B        288               112 B
    2  right_in  Dense        float32 [?, 12]    432 B        192               112 B
    3  shared:1  Dense        float32 [?, 12]    624 B        288               128 B
    4  early     Dense        float32 [?, 2]     104 B         48               128 B
    5  concat    Concatenate  float32 [?, 24]                                   136 B
    6  join      Dense        float32 [?, 8]     800 B        384               136 B
    7  skip      Add          float32 [?, 8]                    8                72 B
    8  late      Dense        float32 [?, 3]     108 B         48                40 B
`,
    );
  });

  test('a GraphModel, for programs', async () => {
    const lines = (await inspected('graph', '--json')).split('\n');
    assert.equal(lines.length, 2, 'one object on one line');
    const { layers, groups, ...whole } = JSON.parse(lines[0]!) as Inspection;
    assert.deepEqual(groups, []);
    assert.deepEqual(whole, {
      ...{ schema: 1, format: 'graph-model', path: join(cwd, 'graph/model.json') },
      inputs: [{ name: 'features', dtype: 'float32', shape: [null, 16], rows: onAxis0('its first axis is open') }],
      outputs: [
        {
          ...{ name: 'scores', tensor: whole.outputs[0]!.tensor, dtype: 'float32', shape: [null, 4] },
          rows: onAxis0('seen in runs with one row and with two'),
        },
      ],
      ...{ weightBytes: whole.weightBytes, flopsPerRow: whole.flopsPerRow, batchInvariant: true, note: null },
    });
    assert.deepEqual(
      layers.map(({ layer }) => layer),
      [...layers.keys()],
    );
    assert.equal(
      layers.reduce((sum, { weightBytes }) => sum + weightBytes, 0),
      whole.weightBytes,
    );
    const { name, type, ops, output, cut, liveBytesPerRow, liveTensors } = layers[1]!;
    assert.deepEqual(
      { name, type, ops, output, cut, liveBytesPerRow, liveTensors },
      {
        ...{ name: 'hidden_0/BiasAdd', type: 'BiasAdd', ops: 1, cut: true, liveBytesPerRow: 128 },
        ...{ output: { dtype: 'float32', shape: [null, 32] }, liveTensors: ['hidden_0/MatMul'] },
      },
    );
  });

  test('an ONNX model: what repeats is one line, or a line for each', async () => {
    assert.equal(
      await inspected('onnx/model.onnx'),
      `onnx: 3 layers, 864 B of weights, 432 FLOPs a row (counted, an estimate)
in   x float32 [?, 8]
out  /layers.2/Relu_output_0 float32 [?, 8]
rows on axis 0 of x, /layers.2/Relu_output_0: its dimension "batch"

layer  name                 type        output                    weights  FLOPs/row  live before it/row
 0..2  layers.0 … layers.2  layers x 3  float32 [?, 8]  288 B each, 864 B        432                32 B

layers that repeat are one line; --all prints a line for each
`,
    );
    const all = await inspected('onnx/model.onnx', '--all');
    assert.match(all, /\n {4}2 {2}\S+ +\S+ +float32 \[\?, 8\] +288 B +144 +32 B\n$/);
    const { layers, groups } = JSON.parse(await inspected('onnx', '--json')) as Inspection;
    assert.equal(layers.length, 3);
    assert.deepEqual(groups, [
      {
        ...{ name: 'layers.0 … layers.2', type: 'layers', layers: { from: 0, to: 2 }, count: 3, layersEach: 1 },
        ...{ weightBytesEach: 288, weightBytes: 864 },
      },
    ]);
  });

  test('a unit of several layers is named by its modules and begins where one begins', async () => {
    const text = await inspected(join(ROOT, 'scripts/demo/model'));
    assert.match(text, /\n3\.\.37 {2}unit\.0 … unit\.9 {2}7 layers x 5 .* 164 KiB each, 818 KiB +26\.6 M +12\.0 KiB\n/);
    assert.match(text, /\n {3}38 {2}head\/pool /);
  });

  test('if the shapes depend on the rows, there are none, and the reason is printed', async () => {
    const text = await inspected('open');
    assert.match(text, /\nin {3}input_ids int64 \[\?, \?\], attention_mask int64 \[\?, \?\]\n/);
    assert.match(text, /\n {4}0 {2}\S.* {2}\? +[\d.]+ KiB +\?\n/);
    assert.match(text, /\nthe shapes of this model depend on the rows, so they are not known before a run\n$/);
    const { note, flopsPerRow, layers } = JSON.parse(await inspected('open', '--json')) as Inspection;
    assert.match(note!, /shapes of this model depend on the rows/);
    assert.deepEqual([flopsPerRow, layers[0]!.output, layers[0]!.liveBytesPerRow], [null, null, null]);
  });

  test('the table shows where the model cannot be cut', async () => {
    const text = await inspected('lstm');
    assert.match(
      text,
      /\n {4}1 {2}lstm_0 +LSTM .* forbidden\n {4}2 {2}lstm_1 +LSTM .* forbidden\n {4}3 {2}hidden .* 32 B\n/,
    );
    assert.match(text, /\nforbidden: the model cannot be cut before this layer\n$/);
  });

  test('no model, or one too many', async () => {
    const says = /no model at nowhere.*\n.*model\.json/;
    assertFails(await tandem(['inspect', 'nowhere'], { cwd }), { status: 2, code: 'TANDEM_MODEL_MISSING', says });
    const many = await tandem(['inspect', 'two', 'graph'], { cwd });
    assertFails(many, { status: 2, code: 'TANDEM_USAGE', says: /too many arguments.*\n.*tandem inspect --help/ });
  });

  test('a reader that has closed the pipe is no error, a disk that is full is one', async () => {
    const { child, ended } = start(process.execPath, [TANDEM, 'inspect', 'open'], { cwd });
    child.stdout!.destroy();
    const { status, stderr } = await ended;
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    const full = start('sh', ['-c', '"$0" "$1" inspect open >/dev/full', process.execPath, TANDEM], { cwd });
    assertFails(await full.ended, { status: 73, code: 'TANDEM_OUTPUT_FAILED', says: /no space is left/ });
  });
});

test('without the engine the table still has what the file shows, and the line to type; names cannot draw on the terminal', async () => {
  const graph = await openModel(join(cwd, 'onnx'));
  const layers = graph.layers.map((layer) => ({ ...layer, name: `a\u001b[2Jb` }));
  const without = inspect({ ...graph, layers }, new Map(), 'shapes are not known: run this');
  const text = formatInspection(without, { all: true });
  assert.match(text, /\n {4}0 {2}a\\u001b\[2Jb {2}layers {2}\? +288 B +\?\n/);
  assert.match(formatInspection(without), /\n {1}0\.\.2 {2}a\\u001b\[2Jb … a\\u001b\[2Jb {2}layers x 3 /);
  assert.match(text, /\n\nshapes are not known: run this\n$/);
});
