/** What each setting does to a run that is resumed: what may be another then, and what is counted over a stop. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { interruptPaced as interrupt, PACED, tandemPaced as tandem } from './paced-run.js';
import { assertFails } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-resume-settings-'));
const at = (name: string) => join(cwd, name);
const windows = process.platform === 'win32' && 'Windows has no signals';
const ROWS = 1_200;
/** One row in so many cannot be used. */
const BAD = 40;
const MOST = ROWS / BAD;

/** One stage that takes row by row: many commits to be stopped between. */
const ROW_BY_ROW = ['-b', '1', '-s', PACED];
const THREAD = ['--isolation', 'thread'];

const type = (...args: string[]) => tandem(args, { cwd });
const argsFor = (output: string, ...more: string[]) => ['run', 'model', '-i', 'rows.npy', '-o', output, '-q', ...more];
const batch = (output: string, ...more: string[]) => [
  ...['run', 'model', '-i', 'batch.jsonl', '-o', output, '-q', ...ROW_BY_ROW, ...THREAD],
  ...more,
];
const killed = (output: string, args: readonly string[]) => interrupt(args, { cwd, output, signal: 'SIGKILL' });

/** Of every `BAD` lines the second has the custom_id of the very first. */
function batchLine(row: number): string {
  const id = row % BAD === 1 ? 'row 0' : `row ${row}`;
  return `${JSON.stringify({ custom_id: id, body: { input: Array.from({ length: 8 }, (_, n) => (row + n) / ROWS) } })}\n`;
}

before(async () => {
  makeOnnx('mlp', at('model'), { layers: 2, hidden: 8 });
  makeRows(at('rows.npy'), ROWS, [8]);
  writeFileSync(at('batch.jsonl'), Array.from({ length: ROWS }, (_, row) => batchLine(row)).join(''));
  const whole = await type(...argsFor('whole.jsonl', ...ROW_BY_ROW));
  assert.equal(whole.status, 0, whole.stderr);
  assert.equal((await type(...batch('batch-whole.jsonl'))).status, 65);
});
after(() => rmSync(cwd, { recursive: true }));

const assertWhole = (output: string) => assert.deepEqual(readFileSync(at(output)), readFileSync(at('whole.jsonl')));

suite('a run that is resumed', { concurrency: 2, skip: windows }, () => {
  test('may have another isolation and depth, by the same command and by resume', async () => {
    const others = [...THREAD, '--json'];
    const first = argsFor('a.jsonl', ...ROW_BY_ROW, '--isolation', 'process');
    await killed('a.jsonl', first);
    const { status, stdout, stderr } = await type(...first, ...others, '--depth', '2');
    assert.equal(status, 0, stderr);
    const { isolation, depth, rowsBefore } = JSON.parse(String(stdout));
    assert.deepEqual([isolation, depth, rowsBefore > 0], ['thread', 2, true]);
    assertWhole('a.jsonl');

    await killed('b.jsonl', argsFor('b.jsonl', ...ROW_BY_ROW, '--isolation', 'process'));
    const resumed = await type('resume', 'b.jsonl', '-q', ...others);
    assert.equal(resumed.status, 0, resumed.stderr);
    assert.equal(JSON.parse(String(resumed.stdout)).isolation, 'thread');
    assertWhole('b.jsonl');
  });

  test('by a plan in a file is resumed with it from any folder, and not with another', async () => {
    const planned = await type('plan', 'model', ...ROW_BY_ROW, ...THREAD, '--output', 'plan.json');
    assert.equal(planned.status, 0, planned.stderr);
    const args = argsFor('planned.jsonl', '--plan', 'plan.json');
    await killed('planned.jsonl', args);
    const file = readFileSync(at('plan.json'), 'utf8');
    writeFileSync(at('plan.json'), `${file}\n`);
    const refused = { status: 73, code: 'TANDEM_JOURNAL_MISMATCH', says: /started with another plan \(plan: / };
    assertFails(await type(...args), refused);
    writeFileSync(at('plan.json'), file);
    const resumed = await tandem(['resume', at('planned.jsonl'), '-q'], { cwd: tmpdir() });
    assert.equal(resumed.status, 0, resumed.stderr);
    assertWhole('planned.jsonl');
  });

  test('writes its report anew, and its record has both runs', async () => {
    const args = argsFor('told.jsonl', ...ROW_BY_ROW, ...THREAD, '--report', 'told.html', '--record', 'told.json');
    const stopped = await interrupt(args, { cwd, output: 'told.jsonl', signal: 'SIGTERM' });
    assert.equal(stopped.status, 143, stopped.stderr);
    const record = () => JSON.parse(readFileSync(at('told.json'), 'utf8')).run.summary;
    const { stopped: wasStopped, rows } = record();
    assert.deepEqual([wasStopped, rows > 0 && rows < ROWS], [true, true]);
    const page = readFileSync(at('told.html'), 'utf8');
    const again = await type(...args);
    assert.equal(again.status, 0, again.stderr);
    const { stopped: isStopped, rowsBefore, rowsPerSecond, predicted, ...now } = record();
    assert.deepEqual([isStopped, now.rows, rowsBefore], [false, ROWS, rows]);
    assert.ok(rowsPerSecond <= predicted.rowsPerSecond * 1.01, 'what these stages give at best is of the same rows');
    assert.notEqual(readFileSync(at('told.html'), 'utf8'), page);
    assertWhole('told.jsonl');
  });

  test('knows the custom_ids and the failed rows of the run before', async () => {
    await killed('answers.jsonl', batch('answers.jsonl'));
    const { status, stdout, stderr } = await type(...batch('answers.jsonl', '--json'));
    assert.equal(status, 65, stderr);
    const { failedRows, rowsBefore } = JSON.parse(String(stdout));
    assert.deepEqual([failedRows, rowsBefore > 0], [MOST, true]);
    for (const end of ['', '.errors.jsonl']) {
      assert.deepEqual(readFileSync(at(`answers.jsonl${end}`)), readFileSync(at(`batch-whole.jsonl${end}`)));
    }
    const [line] = readFileSync(at('answers.jsonl.errors.jsonl'), 'utf8').split('\n');
    const { index, custom_id: id, error } = JSON.parse(line!);
    assert.deepEqual([index, id, error.code], [1, 'row 0', 'TANDEM_ROW_INVALID']);
    assert.match(error.message, /an earlier row has the same custom_id/);
    assert.equal((await type(...batch('answers.jsonl', '--allow-errors'))).status, 0, 'it had ended already');
  });

  test('counts failed rows over a stop against --max-errors, which may be raised', async () => {
    const args = batch('few.jsonl', '--max-errors', String(MOST - 1));
    await killed('few.jsonl', args);
    const tooMany = { status: 75, code: 'TANDEM_TOO_MANY_ERRORS', says: /\d+ of \d+ rows have failed; \d+ may/ };
    assertFails(await type(...batch('few.jsonl', '--max-errors', '0')), { ...tooMany, says: /; 0 may/ });
    const stopped = await type(...args);
    assert.equal(stopped.status, 75, stopped.stderr);
    assert.match(stopped.stderr, new RegExp(`${MOST} of \\d+ rows have failed; ${MOST - 1} may`));
    const resumed = await type('resume', 'few.jsonl', '--max-errors', String(MOST), '--allow-errors', '-q');
    assert.equal(resumed.status, 0, resumed.stderr);
    assert.deepEqual(readFileSync(at('few.jsonl')), readFileSync(at('batch-whole.jsonl')));
  });
});
