/** Models in which rows change each other's answers, from the command line: each row is computed alone, unless somebody says otherwise. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { Graph } from '../../src/prove/models/graph.js';
import { writeModel } from '../../src/prove/models/model-file.js';
import { seeded, seededValues } from '../../src/prove/models/seeded.js';
import { bytesOf } from '../../src/tensor.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { made, temporaryFolder } from '../fixtures/onnx-runs.js';
import { tensorflow } from '../fixtures/tfjs-runs.js';
import { tandem } from './tandem-process.js';

const folder = temporaryFolder();
after(folder.remove);
const cwd = folder.path;
const env = { XDG_CACHE_HOME: join(cwd, 'cache') };

const ROWS = 50;
const ALONE =
  /^a row's answer depends on the other rows of its micro-batch, so each row is computed alone; --micro-batch N/m;
const CAUTION = /^caution: a row's answer depends on the other rows of its micro-batch: in micro-batches of 16/m;

/** A row that is 40 times as large as the others is among them. */
function writeRows(name: string, width: number): string {
  const data = seededValues('float32', [ROWS, width], 1, seeded(3));
  for (let i = 7 * width; i < 8 * width; i++) data[i] = 40 * Number(data[i]);
  writeFileSync(join(cwd, name), npyBytes({ descr: '<f4', shape: [ROWS, width], data: bytesOf(data) }));
  return name;
}

async function run(model: string, rows: string, output: string, ...flags: string[]) {
  const ended = await tandem(['run', model, '-i', rows, '-o', output, '--json', ...flags], { cwd, env });
  assert.equal(ended.status, 0, ended.stderr);
  const { microBatchRows, batchInvariant } = JSON.parse(ended.stdout.toString());
  return { told: [microBatchRows, batchInvariant], stderr: ended.stderr, answers: readFileSync(join(cwd, output)) };
}

const MODELS: Record<string, { path: () => string | Promise<string>; width: number; skip: string | false }> = {
  dynamic: { path: () => made(cwd, 'dynamic'), width: 8, skip: false },
  centred: { path: () => made(cwd, 'centred'), width: 6, skip: false },
  'batch-statistics': { path: () => made(cwd, 'batch-statistics'), width: 6, skip: false },
  'centred-graph': {
    path: () => makeModel('centred-graph', join(cwd, 'centred-graph')),
    width: 6,
    skip: tensorflow.skip,
  },
};

suite('rows that change each other', { concurrency: 2 }, () => {
  for (const [name, { path, width, skip }] of Object.entries(MODELS)) {
    test(`${name}: by default each row has the answer that it has alone`, { skip }, async () => {
      const model = await path();
      const rows = writeRows(`${name}.npy`, width);
      const alone = await run(model, rows, `${name}-alone.npy`, '-b', '1', '-s', 'cpu');
      assert.deepEqual(alone.told, [1, null], 'nobody has to know');
      const open = await run(model, rows, `${name}-open.npy`, '-s', 'cpu', '--plan', 'quick');
      assert.deepEqual(open.told, [1, false]);
      assert.match(open.stderr, ALONE);
      assert.match(open.stderr, /^each row was computed alone: /m);
      assert.deepEqual(open.answers, alone.answers);
      const again = await run(model, rows, `${name}-again.npy`, '-s', 'cpu,layers=0..0', '-s', 'cpu');
      assert.deepEqual(again.told, [1, false], 'also where layers are named, and from what was kept');
      assert.deepEqual(again.answers, alone.answers);
      const together = await run(model, rows, `${name}-together.npy`, '-b', '16', '-s', 'cpu');
      assert.deepEqual(together.told, [16, false]);
      assert.match(together.stderr, CAUTION);
      assert.notDeepEqual(together.answers, alone.answers, 'or this model shows nothing');
    });
  }

  test('where micro-batches are named at the first run, it is found out too', async () => {
    const { told, stderr } = await run(made(cwd, 'running'), writeRows('running.npy', 6), 'running-16.npy', '-b', '16');
    assert.deepEqual(told, [16, false]);
    assert.match(stderr, CAUTION);
    const pairs = await run(made(cwd, 'centred', { seed: 2 }), writeRows('pairs.npy', 6), 'pairs-2.npy', '-b', '2');
    assert.deepEqual(pairs.told, [2, false]);
  });

  test('inspect and plan say so, and the plan that is measured has micro-batches of one row', async () => {
    const model = made(cwd, 'centred', { seed: 3 });
    const planned = await tandem(['plan', model, '--json'], { cwd, env: { ...env, TANDEM_PLAN: 'auto' } });
    const { microBatch, batchInvariant } = JSON.parse(planned.stdout.toString());
    assert.deepEqual({ microBatch, batchInvariant }, { microBatch: 1, batchInvariant: false });
    const inspected = await tandem(['inspect', model], { cwd, env });
    assert.match(
      inspected.stdout.toString(),
      /^a row's answer depends on the other rows of its micro-batch: without --micro-batch/m,
    );
    const other = await tandem(['inspect', made(cwd, 'running', { seed: 4 }), '--json'], { cwd, env });
    assert.equal(JSON.parse(other.stdout.toString()).batchInvariant, false, 'found without a run before');
  });

  test('a model that takes four rows at a time runs them so, with a caution about the zeros that fill a micro-batch', async () => {
    const g = new Graph('four');
    const mean = g.node('ReduceMean', [g.input('x', 'float32', [4, 6]), g.integers('axes', [0])], { keepdims: 1 });
    g.output(g.node('Sub', ['x', mean], { as: 'y' }), 'float32', [4, 6]);
    const model = writeModel(join(cwd, 'four.onnx'), g);
    const { told, stderr } = await run(model, writeRows('four.npy', 6), 'four-answers.npy');
    assert.deepEqual(told, [4, false]);
    assert.match(stderr, /^caution: .* the model takes 4 at a time: the last micro-batch is filled with zeros/m);
  });

  test('for a model whose rows are independent nothing of this is printed', async () => {
    const g = new Graph('halves');
    // Not to be told from the ops alone.
    const parts = g.node('Reshape', [g.input('x', 'float32', ['n', 6]), g.integers('shape', [-1, 2, 3])]);
    const sums = g.node('ReduceMean', [parts, g.integers('axes', [2])], { keepdims: 0 });
    g.output(g.node('Tanh', [sums], { as: 'y' }), 'float32', ['n', 2]);
    const model = writeModel(join(cwd, 'halves.onnx'), g);
    const { told, stderr } = await run(model, writeRows('halves.npy', 6), 'halves-answers.npy');
    assert.equal(told[1], true);
    assert.doesNotMatch(stderr, /other rows of its micro-batch/);
  });
});
