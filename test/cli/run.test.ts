/** `tandem run` from end to end on the real engine: whatever the stages, formats and sizes, the bytes are those of the whole model in one stage. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeModel } from '../../scripts/make-model.js';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { npyBytes } from '../fixtures/npy-bytes.js';
import { zipBytes } from '../fixtures/zip-bytes.js';
import { tandem } from './tandem-process.js';

const ROWS = 100;
/** Rounding may depend on how many rows are computed together, so both runs have the same micro-batches: 14 of 7, and one of 2. */
const ALIKE = ['--micro-batch', '7'];
/** As threads of one process stages start fastest; what does not say so runs as it does by default, in processes. */
const THREADS = ['--isolation', 'thread', ...ALIKE];
const WHOLE = ['--stage', 'cpu,threads=1', ...THREADS];
const HALVES = ['--stage', 'cpu,layers=0..1,threads=1', '--stage', 'cpu,layers=2..3,threads=1'];

const cwd = mkdtempSync(join(tmpdir(), 'tandem-run-'));
const bytesOf = (name: string) => readFileSync(join(cwd, name));
const run = (...args: string[]) => tandem(['run', ...args], { cwd });

/** Runs to `output` and gives its bytes; nothing else may have come to lie in the folder but its journal. */
async function outputOf(output: string, ...args: string[]): Promise<Buffer> {
  const { status, stdout, stderr } = await run(...args, '-o', output, '-q');
  assert.equal(status, 0, stderr);
  assert.equal(stdout.length, 0, 'stdout is for rows and for --json');
  assert.equal(stderr, '', 'with -q there is nothing to say');
  assert.deepEqual(
    readdirSync(cwd).filter((name) => name.startsWith(output) && name !== `${output}.journal`),
    [output],
  );
  return bytesOf(output);
}

/** (rows, ...dims) of numbers that differ from each other, as NPY. */
function matrix(dims: readonly number[], shift = 0): Buffer {
  const values = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i + shift));
  return npyBytes({ descr: '<f4', shape: dims, data: new Uint8Array(values.buffer) });
}

function jsonLines(text: string | Buffer): Record<string, unknown>[] {
  return String(text)
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** The model's answer for each row of x.npy, from the whole model in one stage. */
let scores: Float32Array;
const wholes: Record<string, Buffer> = {};

before(async () => {
  await makeModel('mlp', join(cwd, 'mlp'), { length: 16 });
  await makeModel('two-in-two-out', join(cwd, 'two'), { length: 8 });
  makeOnnx('mlp', join(cwd, 'onnx'), { layers: 3, hidden: 16 });
  await makeModel('residual-cnn', join(cwd, 'cnn'), { width: 4, length: 6 });
  writeFileSync(join(cwd, 'x.npy'), matrix([ROWS, 16]));
  writeFileSync(join(cwd, 'image.npy'), matrix([ROWS, 6, 6, 3]));
  writeFileSync(join(cwd, 'left.npy'), matrix([50, 8]));
  writeFileSync(join(cwd, 'right.npy'), matrix([50, 8], 3));
  const both = [
    { name: 'right.npy', data: matrix([50, 8], 3) },
    { name: 'left.npy', data: matrix([50, 8]), deflate: true },
  ];
  writeFileSync(join(cwd, 'both.npz'), zipBytes(both));
  [wholes.mlp, wholes.onnx, wholes.cnn, wholes.two] = await Promise.all([
    outputOf('whole-mlp.npy', 'mlp', '-i', 'x.npy', ...WHOLE),
    outputOf('whole-onnx.npy', 'onnx', '-i', 'x.npy', ...WHOLE),
    outputOf('whole-cnn.npy', 'cnn', '-i', 'image.npy', ...WHOLE),
    outputOf('whole-two.npz', 'two', '-i', 'both.npz', ...WHOLE),
  ]);
  const data = wholes.mlp.subarray(wholes.mlp.length - ROWS * 4 * 4);
  scores = new Float32Array(Uint8Array.from(data).buffer);
});
after(() => rmSync(cwd, { recursive: true }));

const SAME: readonly { name: string; model: string; args: readonly string[] }[] = [
  {
    name: 'three stages, two workers in one',
    model: 'mlp',
    args: ['-s', 'cpu,layers=0..0', '-s', 'cpu,workers=2,layers=1..2', '-s', 'cpu', ...THREADS],
  },
  { name: 'residual blocks, cut by tandem', model: 'cnn', args: ['-s', 'cpu', '-s', 'cpu', ...THREADS] },
  {
    name: 'ONNX, cut by hand',
    model: 'onnx',
    args: ['-s', 'cpu,layers=0..0,threads=1', '-s', 'cpu,threads=1', ...ALIKE],
  },
  {
    name: 'a file for each input, two outputs',
    model: 'two',
    args: ['-i', 'right=right.npy', '--input', 'left=left.npy', '-s', 'cpu,layers=0..4', '-s', 'cpu', ...THREADS],
  },
];

suite('tandem run', { concurrency: 2 }, () => {
  for (const [n, { name, model, args }] of SAME.entries()) {
    test(`${name}: the bytes of the whole model`, async () => {
      const input = { mlp: ['-i', 'x.npy'], onnx: ['-i', 'x.npy'], cnn: ['-i', 'image.npy'] }[model] ?? [];
      const output = `same-${n}.${model === 'two' ? 'npz' : 'npy'}`;
      assert.deepEqual(await outputOf(output, model, ...input, ...args), wholes[model]);
    });
  }

  test('one stage at a time, JSON lines keep their ids and their order, and rows that fail are in the errors file', async () => {
    const rows = Array.from({ length: ROWS }, (_, row) => {
      const features = Array.from({ length: 16 }, (_, i) => Math.fround(Math.sin(row * 16 + i)));
      if (row === 7) return { id: 'short', inputs: { features: features.slice(1) } };
      return { id: row % 2 ? row * 10 : `r${row}`, inputs: { features } };
    });
    writeFileSync(join(cwd, 'out.jsonl'), 'of an earlier run');
    writeFileSync(join(cwd, 'rows.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const { status, stderr } = await run(
      'mlp',
      '-i',
      'rows.jsonl',
      '-o',
      'out.jsonl',
      '--force',
      ...HALVES,
      ...THREADS,
    );
    assert.equal(status, 65, stderr);
    assert.match(
      stderr,
      /, 1 failed: see out\.jsonl\.errors\.jsonl\nthe first failed row: row 7 \(id "short"\): inputs\.features has 15 values where 16 belong \[TANDEM_ROW_SHAPE\]\n$/,
    );
    // The others are what they are beside a right one; in other micro-batches to the bit.
    const others = rows.filter((_, row) => row !== 7);
    const right = rows.with(7, { id: 'short', inputs: { features: new Array(16).fill(0) } });
    writeFileSync(join(cwd, 'rows.jsonl'), right.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const beside = await run('mlp', '-i', 'rows.jsonl', '-o', 'beside.jsonl', ...HALVES, ...THREADS);
    assert.equal(beside.status, 0, beside.stderr);
    const linesOf = (name: string) => bytesOf(name).toString().split('\n');
    // Row 7 is the first of the second micro-batch, in which a row is missing now.
    assert.deepEqual(linesOf('out.jsonl').slice(0, 7), linesOf('beside.jsonl').slice(0, 7));
    assert.deepEqual(linesOf('out.jsonl').slice(13), linesOf('beside.jsonl').slice(14));
    const told = jsonLines(bytesOf('out.jsonl')) as { id: unknown; outputs: { scores: number[] } }[];
    assert.equal(told.length, others.length);
    for (const [n, { id, outputs }] of told.entries()) {
      assert.equal(id, others[n]!.id);
      const place = rows.indexOf(others[n]!) * 4;
      for (const [k, score] of outputs.scores.entries()) assert.ok(Math.abs(score - scores[place + k]!) < 1e-5);
    }
    const message = 'inputs.features has 15 values where 16 belong';
    assert.deepEqual(jsonLines(bytesOf('out.jsonl.errors.jsonl')), [
      { index: 7, id: 'short', code: 'TANDEM_ROW_SHAPE', message },
    ]);
  });

  test('an array goes from stdin to stdout too, byte by byte as into a file', async () => {
    const formats = ['--input-format', 'npy', '--output-format', 'npy'];
    const args = ['run', 'onnx', '-i', '-', '-o', '-', '-q', ...formats, ...WHOLE];
    const { status, stdout, stderr } = await tandem(args, { cwd, stdin: bytesOf('x.npy') });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(stdout, wholes.onnx);
  });

  test('from stdin to stdout only rows come out; those that fail are printed on stderr, the first ten and how many more', async () => {
    const bad = Array.from({ length: 13 }, () => '[1]\n').join('');
    const stdin = `${JSON.stringify(Array(16).fill(0.5))}\n${bad}{"id":"nan","inputs":[NaN${',0'.repeat(15)}]}\n`;
    const ended = await tandem(['run', 'onnx', '-i', '-', '-o', '-', '-q', ...WHOLE], { cwd, stdin });
    assert.equal(ended.status, 65, ended.stderr);
    assert.deepEqual(
      jsonLines(ended.stdout).map(({ id }) => id),
      [0],
    );
    const said = ended.stderr.trimEnd().split('\n');
    assert.equal(said.length, 12);
    assert.equal(said[0], 'tandem: row 1: row has 1 value where 16 belong [TANDEM_ROW_SHAPE]');
    assert.equal(said[10], 'tandem: and 4 more failed rows');
    assert.match(said[11]!, /--output FILE/);
  });

  test('two stages of TensorFlow are two processes: the same bytes, and --json has the fields that are promised', async () => {
    const { status, stdout, stderr } = await run('mlp', '-i', 'x.npy', '-o', 'json.npy', '--json', ...TWO, ...ALIKE);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^stage +device +engine .*\n0 +cpu +tfjs\/tensorflow +0\.\.\d of 4 /);
    assert.match(stderr, /\n100 rows in \d+\.\d\d s: [\d,.]+ rows\/s .*; planned and loaded in \d+\.\d\d s\n$/);
    assert.deepEqual(bytesOf('json.npy'), wholes.mlp);
    const [summary, ...others] = jsonLines(stdout);
    assert.deepEqual(others, []);
    assertSummary(summary!);
  });

  test('a flag wins over the environment, the environment over tandem.config.json', async () => {
    const folder = join(cwd, 'configured');
    mkdirSync(folder);
    const config = { stages: ['cpu'], isolation: 'thread', microBatch: 5, depth: 4, deadline: 60 };
    writeFileSync(join(folder, 'tandem.config.json'), JSON.stringify(config));
    const args = ['run', '../onnx', '-i', '../x.npy', '-o', 'out.npy', '--json', '-q', '-b', '9'];
    const env = { TANDEM_DEPTH: '3', TANDEM_MICRO_BATCH: '8' };
    const { status, stdout, stderr } = await tandem(args, { cwd: folder, env });
    assert.equal(status, 0, stderr);
    const [{ microBatchRows, depth, isolation, stages } = {}] = jsonLines(stdout);
    assert.deepEqual({ microBatchRows, depth, isolation }, { microBatchRows: 9, depth: 3, isolation: 'thread' });
    assert.equal((stages as unknown[]).length, 1);
  });
});

const STAGE_FIELDS = {
  stage: 'number',
  beside: 'boolean',
  turns: 'number',
  device: 'string',
  provider: 'string',
  ranOn: 'string',
  deviceName: 'string',
  layers: 'object',
  threads: 'number',
  workers: 'number',
  busySeconds: 'number',
  waitSeconds: 'number',
  utilisation: 'number',
  peakRssBytes: 'number',
  weightBytes: 'number',
  rowsAtOnce: 'object',
  loads: 'number',
  loadingSeconds: 'number',
  loadedBytes: 'number',
};
const SUMMARY_FIELDS = {
  schema: 'number',
  rows: 'number',
  rowsBefore: 'number',
  failedRows: 'number',
  seconds: 'number',
  loadSeconds: 'number',
  rowsPerSecond: 'number',
  microBatches: 'number',
  nonFiniteRows: 'number',
  microBatchRows: 'number',
  depth: 'number',
  isolation: 'string',
  engine: 'string',
  cutBy: 'string',
  stages: 'object',
  cards: 'object',
  bubble: 'object',
  predicted: 'object',
  preparing: 'object',
  planned: 'object',
  arenaBytes: 'number',
  batchInvariant: 'boolean',
  peakRssBytes: 'number',
  stopped: 'boolean',
  output: 'string',
  errorsFile: 'object',
  report: 'object',
  trace: 'object',
};

function typesOf(value: object): Record<string, string> {
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, typeof each]));
}

const TWO = ['-s', 'cpu', '-s', 'cpu'];

/** Two stages in processes, 100 rows by 7. */
// biome-ignore lint/suspicious/noExplicitAny: it comes from JSON
function assertSummary(summary: Record<string, any>): void {
  assert.deepEqual(typesOf(summary), SUMMARY_FIELDS);
  const { schema, rows, failedRows, microBatches, microBatchRows, isolation, output, errorsFile, stages } = summary;
  assert.deepEqual(
    { schema, rows, failedRows, microBatches, microBatchRows, isolation, output, errorsFile },
    {
      ...{ schema: 1, rows: ROWS, failedRows: 0, microBatches: 15, microBatchRows: 7 },
      ...{ isolation: 'process', output: 'json.npy', errorsFile: null },
    },
  );
  assert.ok(Math.abs(summary.rowsPerSecond * summary.seconds - ROWS) < 1e-6 * ROWS);
  assert.deepEqual(typesOf(summary.predicted), { rowsPerSecond: 'number' });
  for (const share of [summary.bubble.predicted, summary.bubble.measured]) assert.ok(share >= 0 && share <= 1);
  assert.equal(stages.length, 2);
  let next = 0;
  for (const [j, stage] of stages.entries()) {
    assert.deepEqual(typesOf(stage), STAGE_FIELDS);
    assert.equal(stage.stage, j);
    assert.deepEqual(stage.layers, { from: next, to: stage.layers.to, of: 4 });
    next = stage.layers.to + 1;
    assert.ok(stage.utilisation >= 0 && stage.utilisation <= 1);
    assert.ok(stage.peakRssBytes > 50e6, 'a process with TensorFlow in it holds more than that');
  }
  assert.equal(next, 4);
  const ofStages = stages.reduce((sum: number, { peakRssBytes }: { peakRssBytes: number }) => sum + peakRssBytes, 0);
  assert.ok(summary.peakRssBytes - ofStages > 20e6, 'the coordinator counts too');
}
