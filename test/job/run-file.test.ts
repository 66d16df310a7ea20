/** The library's other doors: a file through a model, the plan and the inspection of one, each as its verb on the command line does it. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import {
  inspectModel,
  openPipeline,
  planModel,
  type RunFileOptions,
  type RunProgress,
  runFile,
} from '../../src/index.js';
import { tandem } from '../cli/tandem-process.js';

const WIDTH = 16;
const ROWS = 64;
let folder: string;
const at = (name: string) => join(folder, name);
/** Two stages, and so small micro-batches that a run has many. */
const SMALL = {
  stages: [
    { device: 'cpu', threads: 1 },
    { device: 'cpu', threads: 1 },
  ],
  microBatch: 2,
  depth: 2,
  plan: 'quick',
} as const;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-run-file-'));
  makeOnnx('mlp', at('mlp'), { layers: 3, hidden: WIDTH });
  makeRows(at('rows.jsonl'), ROWS, [WIDTH]);
  makeRows(at('rows.npy'), ROWS, [WIDTH]);
  const args = ['run', at('mlp'), '-i', at('rows.jsonl'), '-o', at('expected.jsonl'), '--micro-batch', '2'];
  const { status, stderr } = await tandem([...args, '-s', 'cpu,threads=1', '-s', 'cpu,threads=1'], { cwd: folder });
  assert.equal(status, 0, stderr);
});
after(() => rmSync(folder, { recursive: true }));

const bytesOf = (name: string) => readFileSync(at(name), 'utf8');

test('a file gives the bytes that the command gives, and progress is reported after each micro-batch', async () => {
  const seen: RunProgress[] = [];
  const options: RunFileOptions = {
    ...SMALL,
    input: at('rows.jsonl'),
    output: at('whole.jsonl'),
    report: at('whole.html'),
    onProgress: (progress) => seen.push(progress),
  };
  const summary = await runFile(at('mlp'), options);
  assert.equal(bytesOf('whole.jsonl'), bytesOf('expected.jsonl'));
  assert.equal(summary?.rows, ROWS);
  assert.equal(summary.stopped, false);
  assert.equal(summary.output, at('whole.jsonl'));
  assert.deepEqual(
    seen.map(({ rows, total }) => [rows, total]),
    // JSON lines do not tell how many they are.
    Array.from({ length: ROWS / 2 }, (_, n) => [2 * (n + 1), null]),
  );
  assert.match(bytesOf('whole.html'), /<\/html>/);
  assert.equal(await runFile(at('mlp'), { ...options, report: undefined }), null, 'nothing is left to do');
});

for (const [by, goOn] of [
  ['the same call', async (options: RunFileOptions) => assert.equal((await runFile(at('mlp'), options))?.rows, ROWS)],
  [
    'tandem resume',
    async ({ output }: RunFileOptions) => {
      const { status, stderr } = await tandem(['resume', output], { cwd: folder });
      assert.equal(status, 0, stderr);
    },
  ],
] as const) {
  test(`a run that is aborted in its middle leaves nothing half-written, and ${by} ends it with the same bytes`, async () => {
    const output = at(`aborted, then ${by}.jsonl`);
    const controller = new AbortController();
    const reason = new Error('enough');
    let rows = 0;
    const options: RunFileOptions = {
      ...SMALL,
      input: at('rows.jsonl'),
      output,
      signal: controller.signal,
      onProgress: (progress) => {
        rows = progress.rows;
        controller.abort(reason);
      },
    };
    await assert.rejects(runFile(at('mlp'), options), (error) => error === reason);
    assert.ok(rows > 0 && rows < ROWS, `it had come to row ${rows}`);
    assert.equal(existsSync(output), false);
    assert.equal(existsSync(`${output}.lock`), false);
    const notices: string[] = [];
    await goOn({ ...options, signal: undefined, onProgress: undefined, onNotice: (text) => notices.push(text) });
    if (by === 'the same call') assert.equal(notices[0], `resuming after ${rows} rows of an earlier run`);
    assert.equal(readFileSync(output, 'utf8'), bytesOf('expected.jsonl'));
    assert.equal(existsSync(`${output}.partial`), false);
  });
}

test('a signal that has fired, or fires before the first row, starts nothing', async () => {
  const fired = { ...SMALL, input: at('rows.jsonl'), output: at('never.jsonl'), signal: AbortSignal.abort() };
  await assert.rejects(runFile(at('mlp'), fired), { name: 'AbortError' });
  await assert.rejects(openPipeline(at('mlp'), { signal: AbortSignal.abort() }), { name: 'AbortError' });
  const controller = new AbortController();
  const loading = runFile(at('mlp'), { ...fired, signal: controller.signal });
  controller.abort();
  await assert.rejects(loading, { name: 'AbortError' });
  assert.equal(existsSync(at('never.jsonl')), false);
  assert.equal(existsSync(at('never.jsonl.partial')), false);
  // What it had opened is closed again: the same output can be written.
  assert.equal((await runFile(at('mlp'), { ...fired, signal: undefined }))?.rows, ROWS);
});

test('an error of the listener ends the run, and the job can be resumed', async () => {
  const options = { ...SMALL, input: at('rows.jsonl'), output: at('thrown.jsonl') };
  const thrown = new Error('no more room on the dashboard');
  const onProgress = () => {
    throw thrown;
  };
  await assert.rejects(runFile(at('mlp'), { ...options, onProgress }), { cause: thrown });
  assert.equal((await runFile(at('mlp'), options))?.rows, ROWS);
  assert.equal(bytesOf('thrown.jsonl'), bytesOf('expected.jsonl'));
});

test('rows through an open pipeline are aborted too, and it runs again', async () => {
  await using pipeline = await openPipeline(at('mlp'), SMALL);
  const rows = Array.from({ length: ROWS }, () => new Float32Array(WIDTH).fill(0.5));
  const controller = new AbortController();
  let results = 0;
  const some = async () => {
    for await (const _ of pipeline.run(rows, { signal: controller.signal })) {
      results += 1;
      controller.abort();
    }
  };
  await assert.rejects(some(), { name: 'AbortError' });
  assert.ok(results > 0 && results < ROWS);
  let again = 0;
  for await (const _ of pipeline.run(rows)) again += 1;
  assert.equal(again, ROWS);
});

test('a plan is that of tandem plan, and runs from its file; measuring can be aborted', async () => {
  const aborted = new AbortController();
  // Another model: what an aborted measuring has measured is kept, and the next one then has nothing left to report.
  makeOnnx('mlp', at('aborted'), { layers: 4, hidden: WIDTH });
  const first = planModel(at('aborted'), { signal: aborted.signal, onProgress: () => aborted.abort() });
  await assert.rejects(first, { name: 'AbortError' });
  const steps: string[] = [];
  const options = { input: at('rows.npy'), output: at('plan.json'), onProgress: (step: string) => steps.push(step) };
  const report = await planModel(at('mlp'), options);
  assert.ok(steps.length > 0);
  assert.equal(report.job?.rows, ROWS);
  const { status, stdout, stderr } = await tandem(['plan', at('mlp'), '-i', at('rows.npy'), '--json'], {
    cwd: folder,
  });
  assert.equal(status, 0, stderr);
  // Measured twice, in other moments, it may come out otherwise; what it tells of is the same.
  assert.deepEqual(Object.keys(JSON.parse(stdout.toString())).sort(), Object.keys(report).sort());
  const plan = `${folder}/plan.json` as const;
  const summary = await runFile(at('mlp'), { plan, input: at('rows.jsonl'), output: at('planned.jsonl') });
  assert.equal(summary?.stages.length, report.stages.length);
  assert.equal(summary.microBatchRows, report.microBatch);
});

test('an inspection is what tandem inspect --json prints', async () => {
  const { stdout } = await tandem(['inspect', at('mlp'), '--json'], { cwd: folder });
  assert.deepEqual(JSON.parse(JSON.stringify(await inspectModel(at('mlp')))), JSON.parse(stdout.toString()));
});

test('wrong options are refused by name before anything is opened', async () => {
  const good = { input: at('rows.jsonl'), output: at('refused.jsonl') };
  const wrong: readonly [object, RegExp, RegExp][] = [
    [{ ...good, output: 7 }, /^runFile: output: expected string, received number$/, /./],
    [{ ...good, input: undefined }, /^runFile: input: /, /./],
    [{ ...good, inputs: at('rows.jsonl') }, /^runFile: the options have no "inputs"$/, /did you mean input\?/],
    [{ ...good, stages: [{ device: 'cpu', thread: 2 }] }, /^runFile: stages\[0\] have no "thread"$/, /./],
    [{ ...good, stages: [{ device: 'cpu', threads: 0 }] }, /^stages\[0\]\.threads is 0/, /./],
    [{ ...good, stages: [{ device: 'tpu' }] }, /^"tpu" is not a device$/, /./],
    [{ ...good, signal: {} }, /^runFile: signal: expected an AbortSignal$/, /./],
    [{ ...good, onProgress: true }, /^runFile: onProgress: expected a function$/, /./],
    [{ ...good, maxErrors: 'many' }, /^maxErrors "many" is not a number of rows$/, /./],
    [{ ...good, inputFormat: 'xml' }, /^runFile: inputFormat: /, /./],
  ];
  for (const [options, message, remedy] of wrong) {
    const run = runFile(at('mlp'), options as RunFileOptions);
    await assert.rejects(run, { code: 'TANDEM_USAGE', message, remedy }, JSON.stringify(options));
  }
  assert.equal(existsSync(at('refused.jsonl.journal')), false);
  await assert.rejects(runFile(7 as never, good), { code: 'TANDEM_USAGE', message: /^runFile: the model is number/ });
  await assert.rejects(planModel(at('mlp'), { plan: 'auto' } as object), {
    message: /planModel: the options have no "plan"/,
  });
  await assert.rejects(inspectModel(at('mlp'), { rowsAxis: { x: -1 } }), { code: 'TANDEM_USAGE' });
  await assert.rejects(openPipeline(at('mlp'), { microbatch: 3 } as object), { remedy: 'did you mean microBatch?' });
});
