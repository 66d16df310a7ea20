/** `tandem bench` from the command line, on a small model. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { type BudgetPoint, RESULT } from '../../src/bench/result.js';
import { parseStages } from '../../src/cli/stage-flag.js';
import { readRecord } from '../../src/report/record.js';
import { tandem as start } from './tandem-process.js';

let folder: string;
let model: string;

const tandem = async (args: readonly string[]) => {
  const { stdout, ...ended } = await start(args, { cwd: folder });
  return { ...ended, stdout: stdout.toString() };
};

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-bench-test-'));
  model = makeOnnx('mlp', join(folder, 'mlp'), { layers: 4, hidden: 16 });
});
after(() => rmSync(folder, { recursive: true }));

test('it measures, writes what it measured, and names a plan that can be typed', async () => {
  const output = join(folder, 'result.json');
  const { status, stdout } = await tandem(['bench', model, '--seconds', '1', '--output', output, '--quiet']);
  assert.equal(status, 0);
  assert.doesNotMatch(stdout, /other rows of its micro-batch/);
  const result = RESULT.parse(JSON.parse(readFileSync(output, 'utf8')));
  assert.equal(result.model.batchInvariant, true);
  assert.ok(result.cases.every(({ repetitions }) => repetitions.length >= 3 && repetitions.every((rate) => rate > 0)));
  assert.ok(result.cases.some(({ name }) => name === result.verdict.best));
  assert.ok(stdout.includes(`best: ${result.verdict.best}`) && stdout.includes(result.verdict.flags));
  const stages = result.verdict.flags.match(/(?<=--stage )\S+/g)!.flatMap((text) => parseStages(text));
  assert.deepEqual([stages[0]!.layers!.from, stages.at(-1)!.layers!.to], [0, 3]);
});

test('the rows of a file, the stages, the sizes and the depth that are asked for, as JSON', async () => {
  const input = join(folder, 'rows.npy');
  makeRows(input, 10, [16]);
  const asked = [
    '--stage',
    'cpu,threads=1,layers=0..0',
    '--stage',
    'cpu,threads=1',
    '--micro-batch',
    '2,3',
    '--depth',
    '1,4',
  ];
  const { status, stdout } = await tandem([
    'bench',
    model,
    '-i',
    input,
    ...asked,
    '--seconds',
    '1',
    '--json',
    '--quiet',
  ]);
  assert.equal(status, 0);
  const { cases, overlap, sweep } = RESULT.parse(JSON.parse(stdout));
  const split = cases.find(({ name }) => name === 'split, as asked, pipelined')!;
  assert.deepEqual(
    split.stages.map(({ layers }) => layers),
    [
      { from: 0, to: 0 },
      { from: 1, to: 3 },
    ],
  );
  assert.equal(split.depth, 4);
  assert.equal(overlap?.pipelined, split.name);
  // float32 [16], what lives across the only cut
  assert.equal(split.stages[1]!.liveBytes, split.microBatch * 64);
  assert.deepEqual([...new Set(sweep.microBatch.map(({ microBatch }) => microBatch))], [2, 3]);
});

test('budgets of the first stage: each has a plan that is tried, and one that is too small is reported', async () => {
  const budgets = ['--budget', '1KiB,2GiB', '-b', '4', '--depth', '3'];
  const asked = ['--stage', 'cpu,threads=1', '--stage', 'cpu,threads=1', ...budgets];
  const { status, stdout } = await tandem([
    'bench',
    model,
    ...asked,
    '--isolation',
    'process',
    '--seconds',
    '1',
    '--json',
    '--quiet',
  ]);
  assert.equal(status, 0);
  const { sweep, skipped } = RESULT.parse(JSON.parse(stdout));
  assert.deepEqual(
    sweep.budget.map(({ memoryBytes, layers, rowsPerSecond }) => [memoryBytes, layers.from, rowsPerSecond > 0]),
    [[2 * 2 ** 30, 0, true]],
  );
  const [{ promisedBytes, heldBytes }] = sweep.budget as [BudgetPoint];
  assert.ok(promisedBytes! > 0 && promisedBytes! <= 2 * 2 ** 30);
  assert.ok(heldBytes! > 0);
  assert.deepEqual(
    skipped.map(({ name }) => name),
    ['split, as asked, 1024 bytes in stage 0'],
  );
});

test('rows that change each other are computed alone, whatever sizes are tried; other sizes alone come with a caution', async () => {
  const centred = makeOnnx('centred', join(folder, 'centred'));
  const bench = async (...flags: string[]) => {
    const output = join(folder, 'centred.json');
    const args = ['bench', centred, '--seconds', '1', '--output', output, '--quiet', ...flags];
    const { status, stdout, stderr } = await tandem(args);
    assert.equal(status, 0, stderr);
    const { model, cases, sweep } = RESULT.parse(JSON.parse(readFileSync(output, 'utf8')));
    assert.equal(model.batchInvariant, false);
    const sizes = (of: readonly { microBatch: number }[]) =>
      [...new Set(of.map(({ microBatch }) => microBatch))].sort();
    return { stdout, chosen: sizes(cases), tried: sizes(sweep.microBatch) };
  };
  const page = join(folder, 'centred.html');
  const open = await bench('--report', page);
  assert.deepEqual([open.chosen, open.tried], [[1], [1]]);
  assert.match(
    open.stdout,
    /^a row's answer depends on the other rows of its micro-batch, so each row is computed alone/m,
  );
  const { verdict } = readRecord(readFileSync(page, 'utf8'), page);
  assert.match(
    verdict!.join(' '),
    /A row's answer depends on the other rows of its micro-batch, so each row is computed alone/,
  );
  const both = await bench('--micro-batch', '1,8');
  assert.deepEqual([both.chosen, both.tried], [[1], [1, 8]]);
  const large = await bench('--micro-batch', '8', '-s', 'cpu');
  assert.deepEqual([large.chosen, large.tried], [[8], [8]]);
  assert.match(
    large.stdout,
    /^caution: a row's answer depends on the other rows of its micro-batch: in micro-batches of 8/m,
  );
});

test('a comparison with a faster past fails, one with a slower past does not', async () => {
  const output = join(folder, 'now.json');
  const { status } = await tandem(['bench', model, '--seconds', '1', '-b', '4', '--output', output, '--quiet']);
  assert.equal(status, 0);
  const result = RESULT.parse(JSON.parse(readFileSync(output, 'utf8')));
  const past = join(folder, 'past.json');
  const against = async (factor: number) => {
    const cases = result.cases.map((each) => ({
      ...each,
      rowsPerSecond: each.rowsPerSecond * factor,
      spread: 0,
    }));
    writeFileSync(past, JSON.stringify({ ...result, cases }));
    return tandem(['bench', model, '--seconds', '1', '-b', '4', '--compare', past, '--quiet']);
  };
  const slower = await against(1000);
  assert.equal(slower.status, 1);
  assert.match(slower.stdout, /slower/);
  assert.equal((await against(0.001)).status, 0);
});

test('an output that cannot be is refused before anything is measured', async () => {
  const output = join(folder, 'nowhere', 'result.json');
  const { status, stdout, stderr } = await tandem(['bench', model, '--output', output]);
  assert.equal(status, 73);
  assert.equal(stdout, '');
  assert.match(stderr, /nowhere does not exist/);
  assert.doesNotMatch(stderr, /looking how fast/);
});

test('what was measured is on the screen before a disk that is full can keep it from its file', async (t) => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', disk]).status === 0;
  if (!mounted) return t.skip('this user may not mount a tmpfs');
  t.after(() => spawnSync('umount', [disk]));
  writeFileSync(join(disk, 'fills it'), Buffer.alloc(4096));
  const asked = ['--seconds', '1', '-b', '4', '--output', join(disk, 'bench.json'), '--quiet'];
  const { status, stdout, stderr } = await tandem(['bench', model, ...asked]);
  assert.equal(status, 73);
  assert.match(stdout, /^best: /m);
  assert.match(stderr, /no space is left/);
});

test('a file that is no result is refused before anything is measured', async () => {
  const path = join(folder, 'other.json');
  writeFileSync(path, '{"schema": 1}');
  const { status, stderr } = await tandem(['bench', model, '--compare', path]);
  assert.equal(status, 2);
  assert.match(stderr, /is no result of tandem bench/);
});
