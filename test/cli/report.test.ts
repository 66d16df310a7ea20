/** `tandem run --report --trace --record` and `tandem report`: what ran is what is told, and a report is drawn again the same. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { readRecord } from '../../src/report/record.js';
import type { Trace } from '../../src/report/trace.js';
import { assertFails, type Ended, tandem } from './tandem-process.js';

const cwd = mkdtempSync(join(tmpdir(), 'tandem-report-'));
const textOf = (name: string) => readFileSync(join(cwd, name), 'utf8');
const run = (...args: string[]) => tandem(['run', 'onnx', '-i', 'rows.jsonl', ...args], { cwd });

const STAGES = ['-s', 'cpu,layers=0..0,memory=1GiB', '-s', 'cpu', '-b', '5', '--isolation', 'thread'];
const FILES = ['--report', 'run.html', '--trace', 'trace.json', '--record', 'run.json'];
let ended: Ended;

before(async () => {
  makeOnnx('mlp', join(cwd, 'onnx'), { layers: 3, hidden: 16 });
  const good = JSON.stringify(Array(16).fill(0.5));
  const rows = Array.from({ length: 42 }, (_, n) => (n === 7 ? '{"id":"<b>","inputs":[1]}' : good));
  writeFileSync(join(cwd, 'rows.jsonl'), `${rows.join('\n')}\n`);
  ended = await run('-o', 'out.jsonl', '--json', ...STAGES, ...FILES);
});
after(() => rmSync(cwd, { recursive: true }));

suite('the files of a run', () => {
  test('the record holds the summary, the plan, every span, all rows and the errors', () => {
    assert.equal(ended.status, 65, ended.stderr);
    const summary = JSON.parse(String(ended.stdout));
    assert.equal(summary.report, 'run.html');
    assert.equal(summary.trace, 'trace.json');
    const written = JSON.parse(textOf('run.json'));
    assert.deepEqual(written.run.summary, summary);
    const { title, command, run } = readRecord(textOf('run.json'), 'run.json');
    assert.equal(title, 'onnx');
    assert.deepEqual(command.slice(0, 3), ['tandem', 'run', 'onnx']);
    const { stages, timeline, pace, errors } = run!;
    assert.deepEqual(
      stages.map(({ budgetBytes }) => budgetBytes),
      [2 ** 30, null],
    );
    // 5 rows of 16 float32 over the cut.
    assert.equal(stages[0]!.liveBytes, 5 * 16 * 4);
    assert.equal(timeline.recorded, 2 * 9);
    assert.equal(timeline.spans.lane.length, 2 * 9);
    // The one that was refused while it was read takes no part in the pace.
    assert.equal(
      pace.rows.reduce((a, b) => a + b, 0),
      41,
    );
    assert.deepEqual(errors, [
      {
        code: 'TANDEM_ROW_SHAPE',
        count: 1,
        examples: [{ index: 7, id: '<b>', message: 'inputs has 1 value where 16 belong' }],
      },
    ]);
  });

  test('the trace has the same lanes', () => {
    const { traceEvents } = JSON.parse(textOf('trace.json')) as Trace;
    assert.equal(traceEvents.filter(({ ph }) => ph === 'X').length, 2 * 9);
    assert.equal(traceEvents.filter(({ ph }) => ph === 's').length, 9);
  });

  test('the page carries the record, and a report is drawn again from either', async () => {
    const record = readRecord(textOf('run.json'), 'run.json');
    assert.deepEqual(readRecord(textOf('run.html'), 'run.html'), record);
    const from = async (file: string, ...args: string[]) => {
      const { status, stderr } = await tandem(['report', file, ...args], { cwd });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    };
    await from('run.json', '--output', 'again.html', '--trace', 'again.json');
    await from('again.html', '--output', 'third.html');
    assert.equal(textOf('third.html'), textOf('again.html'));
    assert.deepEqual(readRecord(textOf('again.html'), 'again.html'), record);
    assert.equal(textOf('again.json'), textOf('trace.json'));
    assert.deepEqual(
      readdirSync(cwd).filter((name) => name.endsWith('.partial')),
      [],
    );
  });

  test('refused before a row is read: a file that exists, one that another flag names, a folder that is not there', async () => {
    const refused = async (args: readonly string[], expected: { status: number; code: string; says?: RegExp }) => {
      assertFails(await run('-o', 'new.jsonl', ...STAGES, ...args), expected);
      assert.equal(existsSync(join(cwd, 'new.jsonl')), false);
    };
    await refused(['--report', 'run.html'], { status: 73, code: 'TANDEM_OUTPUT_EXISTS' });
    await refused(['--trace', './new.jsonl'], { status: 2, code: 'TANDEM_USAGE', says: /--trace/ });
    await refused(['--report', 'x.html', '--record', 'x.html'], { status: 2, code: 'TANDEM_USAGE' });
    await refused(['--report', 'nowhere/x.html'], { status: 73, code: 'TANDEM_OUTPUT_FAILED' });
  });

  test('what is no record is refused', async () => {
    assertFails(await tandem(['report', 'rows.jsonl'], { cwd }), { status: 2, code: 'TANDEM_USAGE', says: /--record/ });
    assertFails(await tandem(['report', 'absent.json'], { cwd }), { status: 2, code: 'TANDEM_USAGE' });
  });
});
