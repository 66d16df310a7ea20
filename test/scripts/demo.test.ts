/** The demo: the accuracy of the committed model, cut in two on each engine, and the output of the program. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { Candidate, DEADLINE_MS } from '../../scripts/demo/candidate.js';
import { readDigits } from '../../scripts/demo/digits.js';
import { countRight, readProbabilities, writeDigits } from '../../scripts/demo/rows-file.js';
import { liveTensors } from '../../src/model/cut.js';
import { openModel } from '../../src/model/open.js';
import { makePlan, rowSpecsOf } from '../../src/planner/make-plan.js';
import { tensorflow } from '../fixtures/tfjs-runs.js';

const root = resolve(import.meta.dirname, '../../..');
const folder = mkdtempSync(join(tmpdir(), 'tandem-demo-'));
after(() => rmSync(folder, { recursive: true }));

const { train, unseen } = readDigits();
const rowsFile = join(folder, 'unseen.npy');
writeDigits(rowsFile, unseen, unseen.rows);

const made = new Map<string, Promise<Float32Array>>();

/** Probabilities of the unseen rows from two stages on the CPU, cut by tandem; computed once for each model file. */
function readThrough(file: string): Promise<Float32Array> {
  const probabilities = made.get(file) ?? compute(file);
  made.set(file, probabilities);
  return probabilities;
}

async function compute(file: string): Promise<Float32Array> {
  const graph = await openModel(join(root, 'scripts/demo/model', file));
  const stages = [{ device: 'cpu' }, { device: 'cpu' }];
  const plan = await makePlan(graph, { stages, rowSpecs: rowSpecsOf(graph), deadlineMs: DEADLINE_MS });
  assert.equal(liveTensors(graph, plan.stages[1]!.ops.from).length, 2, 'the cut crosses a skip');
  const output = join(folder, `${file}.npy`);
  const candidate = await Candidate.open(graph, plan, output);
  try {
    await candidate.run(rowsFile);
  } finally {
    await candidate.close();
  }
  return readProbabilities(output, unseen.rows);
}

/** Runs a compiled program in its checkout. */
function run(checkout: string, script: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(checkout, 'dist', script), ...args], {
    cwd: checkout,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

/** A copy of this checkout with its packages, except those of the scope `without`. */
function checkout(t: TestContext, without = ''): string {
  const copy = mkdtempSync(join(tmpdir(), 'tandem-checkout-'));
  t.after(() => rmSync(copy, { recursive: true }));
  for (const name of ['dist/src', 'dist/workers', 'dist/scripts', 'scripts/demo', 'package.json']) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  mkdirSync(join(copy, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name !== without) symlinkSync(join(root, 'node_modules', name), join(copy, 'node_modules', name));
  }
  return copy;
}

test('the digits are complete, in two parts without common rows', () => {
  assert.deepEqual([train.rows, unseen.rows], [1157, 640]);
  for (const { rows, pixels, labels } of [train, unseen]) {
    assert.equal(pixels.length, rows * 64);
    assert.deepEqual(new Set(labels), new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    assert.ok(pixels.every((ink) => ink >= 0 && ink <= 1) && pixels.includes(1));
  }
});

test('rows beyond the last digit begin again with the first', () => {
  const file = join(folder, 'digits.npy');
  writeDigits(file, { rows: 2, pixels: Float32Array.from({ length: 128 }, (_, n) => n), labels: new Uint8Array(2) }, 5);
  const written = readFileSync(file).subarray(-5 * 64 * 4);
  const firstPixels = [0, 1, 2, 3, 4].map((row) => written.readFloatLE(row * 64 * 4));
  assert.deepEqual(firstPixels, [0, 64, 0, 64, 0]);
});

test('97 % of the unseen rows are recognised by two tfjs stages', { skip: tensorflow.skip }, async () => {
  const right = countRight(await readThrough('model.json'), unseen);
  assert.ok(right >= 0.97 * unseen.rows, `${right} of ${unseen.rows}`);
});

test('97 % of the unseen rows are recognised by two onnxruntime stages', async () => {
  const right = countRight(await readThrough('model.onnx'), unseen);
  assert.ok(right >= 0.97 * unseen.rows, `${right} of ${unseen.rows}`);
});

test('both engines give the same probabilities', { skip: tensorflow.skip }, async () => {
  const [one, other] = [await readThrough('model.json'), await readThrough('model.onnx')];
  const apart = one.reduce((most, value, n) => Math.max(most, Math.abs(value - other[n]!)), 0);
  assert.ok(apart < 1e-5, `they differ by ${apart}`);
});

test('the committed model is small', () => {
  const models = join(root, 'scripts/demo/model');
  const bytes = readdirSync(models).reduce((sum, name) => sum + statSync(join(models, name)).size, 0);
  assert.ok(bytes < 3e6, `${bytes} bytes`);
});

test('the demo prints accuracy, rates, the device of each stage, and a command that works', (t) => {
  const copy = checkout(t);
  const { status, stdout, stderr } = run(copy, 'scripts/demo/run.js', '--rows', '64');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^engine {3}(tfjs|onnxruntime)$/m);
  for (const label of ['whole model, cpu, \\d+ threads?', 'two stages, one at a time', 'two stages at once']) {
    assert.match(stdout, new RegExp(`^${label} +[\\d.,]+( |$)`, 'm'));
  }
  assert.match(
    stdout,
    /^accuracy 100.0 % \(64 of 64 unseen rows\)\nsplit {4}answers are (to the bit|within \de-\d+ of) those of the whole model$/m,
  );
  assert.match(stdout, /^0 +(cpu|gpu) +\S+ +0\.\.\d+ of \d+ /m);
  assert.match(stdout, /^At once, in the same time:\n0 (cpu|gpu) │.+│\n1 cpu │.+│\n +└─/m);
  const [npx, tandem, ...typed] = stdout.trimEnd().split('\n').at(-1)!.trim().split(' ');
  assert.deepEqual([npx, tandem], ['npx', 'tandem']);
  const byHand = run(copy, 'src/cli/tandem.js', ...typed);
  assert.equal(byHand.status, 0, byHand.stderr);
  assert.equal(
    readFileSync(join(copy, typed.at(-1)!), 'utf8')
      .trimEnd()
      .split('\n').length,
    64,
  );
});

test('without TensorFlow the demo runs on onnxruntime, and prints the reason and the command to type', (t) => {
  const { status, stdout, stderr } = run(checkout(t, '@tensorflow'), 'scripts/demo/run.js', '--rows', '64');
  assert.equal(status, 0, stderr);
  assert.match(
    stdout,
    /^engine {3}onnxruntime\n +because TensorFlow\.js models need @tensorflow\/tfjs-node, which is not installed\n +run: npx tandem setup tensorflow .+\n/m,
  );
  assert.match(stdout, /^accuracy 100.0 % \(64 of 64 unseen rows\)/m);
});

test('flags that do not exist are usage errors', () => {
  for (const flags of [['--engine', 'torch'], ['--rows', '0'], ['--fast']]) {
    const { status, stderr } = run(root, 'scripts/demo/run.js', ...flags);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^tandem: .+ \[TANDEM_USAGE\]\n +\S/, flags.join());
  }
});
