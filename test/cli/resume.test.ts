/** A run that is killed, stopped or interrupted ends, when the same command is given again, with the bytes of one that was not. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { interruptPaced as interrupt, PACED, tandemPaced as tandem } from './paced-run.js';
import { assertFails } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-resume-'));
const at = (name: string) => join(cwd, name);
const windows = process.platform === 'win32' && 'Windows has no signals';
const QUICK = ['--isolation', 'thread', '--stage', PACED, '-q'];
const ROWS = 1_500;

before(() => {
  makeOnnx('mlp', at('model'), { layers: 2, hidden: 8 });
  makeRows(at('rows.npy'), ROWS, [8]);
  makeRows(at('some-bad.npy'), ROWS, [8], { badEvery: 7 });
});
after(() => rmSync(cwd, { recursive: true }));

const argsFor = (output: string, ...more: string[]) => [
  'run',
  'model',
  '-i',
  'rows.npy',
  '-o',
  output,
  ...QUICK,
  ...more,
];
const run = (output: string, ...more: string[]) => tandem(argsFor(output, ...more), { cwd });
const filesOf = (name: string) =>
  readdirSync(cwd)
    .filter((file) => file.startsWith(name))
    .sort();
const status = async (output: string) =>
  JSON.parse(String((await tandem(['status', output, '--json'], { cwd })).stdout));

/** What a run that was left alone gives; made once. */
const wholes = new Map<string, Promise<Buffer>>();
function whole(format: string): Promise<Buffer> {
  const made =
    wholes.get(format) ??
    run(`whole.${format}`, '-b', '1').then(({ status: code, stderr }) => {
      assert.equal(code, 0, stderr);
      return readFileSync(at(`whole.${format}`));
    });
  wholes.set(format, made);
  return made;
}

const interrupted = (output: string, signal: 'SIGKILL' | 'SIGTERM') =>
  interrupt(argsFor(output, '-b', '1'), { cwd, output, signal });

suite('a run', { concurrency: 2, skip: windows }, () => {
  for (const format of ['jsonl', 'npy', 'npz']) {
    test(`that is killed is resumed: ${format}`, async () => {
      const output = `killed-${format}.${format}`;
      assert.equal((await interrupted(output, 'SIGKILL')).status, 137);
      const { state, rows, of } = await status(output);
      assert.deepEqual({ state, of }, { state: 'stopped', of: ROWS });
      assert.ok(rows > 0 && rows < ROWS, `${rows} rows`);
      const { status: code, stdout, stderr } = await run(output, '-b', '1', '--json');
      assert.equal(code, 0, stderr);
      const summary = JSON.parse(String(stdout));
      assert.deepEqual({ rows: summary.rows, rowsBefore: summary.rowsBefore }, { rows: ROWS, rowsBefore: rows });
      assert.deepEqual(readFileSync(at(output)), await whole(format));
      assert.deepEqual(filesOf(`killed-${format}`), [output, `${output}.journal`]);
    });
  }

  test('that is killed among rows that are refused is resumed', async () => {
    const args = (output: string) => ['run', 'model', '-i', 'some-bad.npy', '-o', output, ...QUICK, '-b', '3'];
    assert.equal((await tandem(args('whole-bad.npy'), { cwd })).status, 65);
    assert.equal(
      (await interrupt(args('killed-bad.npy'), { cwd, output: 'killed-bad.npy', signal: 'SIGKILL' })).status,
      137,
    );
    const { rows, failedRows } = await status('killed-bad.npy');
    assert.ok(rows > 0 && rows < ROWS && failedRows > 0, `${rows} rows, ${failedRows} failed`);
    const { status: code, stderr } = await tandem(args('killed-bad.npy'), { cwd });
    assert.equal(code, 65, stderr);
    for (const suffix of ['', '.errors.jsonl']) {
      assert.deepEqual(readFileSync(at(`killed-bad.npy${suffix}`)), readFileSync(at(`whole-bad.npy${suffix}`)));
    }
  });

  test('that is stopped prints how to resume; tandem resume does so from anywhere, once', async () => {
    const stopped = await interrupted('stopped.jsonl', 'SIGTERM');
    assert.equal(stopped.status, 143, stopped.stderr);
    assert.match(stopped.stderr, /\n {8}to resume, run the same command again, or: tandem resume stopped\.jsonl\n$/);
    const elsewhere = await tandem(['resume', at('stopped.jsonl'), '-q'], { cwd: tmpdir() });
    assert.equal(elsewhere.status, 0, elsewhere.stderr);
    assert.equal(readFileSync(at('stopped.jsonl'), 'utf8').trimEnd().split('\n').length, ROWS);
    const { mtimeNs } = statSync(at('stopped.jsonl'), { bigint: true });
    for (const again of [['resume', 'stopped.jsonl'], argsFor('stopped.jsonl', '-b', '1')]) {
      assert.equal((await tandem(again, { cwd })).status, 0);
    }
    assert.equal(statSync(at('stopped.jsonl'), { bigint: true }).mtimeNs, mtimeNs, 'there was nothing left to do');
    assert.deepEqual((await status('stopped.jsonl')).state, 'finished');
  });

  test('that would not give the same bytes is refused, and what differs is named', async () => {
    makeRows(at('edited.npy'), ROWS, [8]);
    const first = ['run', 'model', '-i', 'edited.npy', '-o', 'edited.jsonl', ...QUICK, '-b', '1'];
    await interrupt(first, { cwd, output: 'edited.jsonl', signal: 'SIGKILL' });
    const args = (...more: string[]) => ['run', 'model', '-i', 'edited.npy', '-o', 'edited.jsonl', '-q', ...more];
    // Who comes next takes the dead one's lock away.
    const before = filesOf('edited').filter((name) => !name.endsWith('.lock'));
    const refused = { status: 73, code: 'TANDEM_JOURNAL_MISMATCH' };
    const other = await tandem(args('-b', '7', '--stage', `${PACED},workers=2`), { cwd });
    assertFails(other, {
      ...refused,
      says: /another stages and micro-batch \(stages: .*; micro-batch: 1 then, 7 now\).*\n.*--force-new/,
    });
    const piped = await tandem(['run', 'model', '-i', '-', '-o', 'edited.jsonl'], {
      cwd,
      stdin: '[1,2,3,4,5,6,7,8]\n',
    });
    assertFails(piped, { ...refused, says: /rows from a pipe can be read only once/ });
    const bytes = readFileSync(at('edited.npy'));
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(at('edited.npy'), bytes);
    assertFails(await tandem(args(...QUICK), { cwd }), { ...refused, says: /started with another input \(input: / });
    rmSync(at('edited.npy'));
    assertFails(await tandem(args(...QUICK), { cwd }), { status: 2, code: 'TANDEM_INPUT_MISSING' });
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(at('edited.npy'), bytes);
    assert.deepEqual(filesOf('edited'), before, 'nothing is lost by asking');
    appendFileSync(at('edited.jsonl.journal'), 'torn');
    assert.equal((await tandem(args(...QUICK, '--force-new'), { cwd })).status, 0);
    assert.equal((await status('edited.jsonl')).rows, ROWS);
  });
});

test('a job is resumed with another patch of Node, another major version is named', { skip: windows }, async () => {
  const output = 'node.jsonl';
  assert.equal((await interrupted(output, 'SIGKILL')).status, 137);
  const as = (version: string) => {
    const text = `Object.defineProperty(process,"versions",{value:{...process.versions,node:"${version}"}})`;
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(text)}` };
    return tandem(argsFor(output, '-b', '1'), { cwd, env });
  };
  const major = process.versions.node.split('.')[0]!;
  assertFails(await as('99.0.0'), {
    ...{ status: 73, code: 'TANDEM_JOURNAL_MISMATCH' },
    says: new RegExp(`started with another node \\(node: ${major} then, 99 now\\)`),
  });
  const { status, stderr } = await as(`${major}.99.9`);
  assert.equal(status, 0, stderr);
  assert.deepEqual(readFileSync(at(output)), await whole('jsonl'));
});

test('an output of which nothing is known', async () => {
  for (const verb of ['status', 'resume']) {
    assertFails(await tandem([verb, 'unknown.jsonl'], { cwd }), { status: 2, code: 'TANDEM_JOURNAL_MISSING' });
  }
});
