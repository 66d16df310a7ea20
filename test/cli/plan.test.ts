/** `tandem plan`, `tandem profile` and `run --plan`, as a person types them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { assertFails, tandem } from './tandem-process.js';

/** Elements of a row of the mlp. */
const WIDTH = 16;

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-plan-'));
  makeOnnx('mlp', join(folder, 'mlp'), { layers: 3 });
  makeOnnx('mlp', join(folder, 'deeper'), { layers: 4 });
});
after(() => rmSync(folder, { recursive: true }));

const type = (...args: string[]) =>
  tandem(args, { cwd: folder, env: { XDG_CACHE_HOME: join(folder, 'cache'), TANDEM_PLAN: 'auto' } });

test('plan tells stages, pace and what was not taken; its file runs the model and is refused for another', async () => {
  const planned = await type('plan', 'mlp', '--micro-batch', '8', '--output', 'plan.json', '--json');
  assert.equal(planned.status, 0, planned.stderr);
  const plan = JSON.parse(planned.stdout.toString());
  assert.equal(plan.cutBy, 'measured');
  assert.ok(plan.expected.verified);
  const text = await type('plan', 'mlp', '--micro-batch', '8');
  assert.match(text.stdout.toString(), /rows\/s seen in a trial/);
  assert.match(text.stdout.toString(), /not taken/);

  makeRows(join(folder, 'rows.npy'), 50, [WIDTH]);
  const forJob = await type('plan', 'mlp', '--micro-batch', '8', '-i', 'rows.npy', '--json');
  const { job, expected } = JSON.parse(forJob.stdout.toString());
  assert.equal(job.rows, 50);
  assert.ok(job.seconds > 0 && job.rowsPerSecond <= expected.rowsPerSecond * (1 + 1e-9), 'filling is no gain');
  assert.match(
    (await type('plan', 'mlp', '--micro-batch', '8', '-i', 'rows.npy')).stdout.toString(),
    /50 rows in .* s:/,
  );

  const ran = await type('run', 'mlp', '-i', 'rows.npy', '-o', 'out.npy', '--plan', 'plan.json', '--json');
  assert.equal(ran.status, 0, ran.stderr);
  const summary = JSON.parse(ran.stdout.toString());
  assert.equal(summary.rows, 50);
  assert.equal(summary.microBatchRows, 8);
  assert.equal(summary.stages.length, plan.stages.length);
  assert.ok(summary.planned.rowsPerSecond > 0);

  const other = await type('run', 'deeper', '-i', 'rows.npy', '-o', 'other.npy', '--plan', 'plan.json');
  assertFails(other, { status: 78, code: 'TANDEM_PLAN_FOREIGN', says: /another model/ });
});

test('a plan that can lie nowhere is not made', async () => {
  const refused = await type('plan', 'mlp', '--output', join('nowhere', 'plan.json'));
  assertFails(refused, { status: 73, code: 'TANDEM_OUTPUT_FAILED', says: /nowhere does not exist/ });
  assert.equal(refused.stdout.toString(), '');
});

test('profile prints what was measured', async () => {
  const { status, stdout, stderr } = await type('profile', 'mlp', '--micro-batch', '8');
  assert.equal(status, 0, stderr);
  assert.match(stdout.toString(), /the whole model/);
});

test('a run with nothing said measures once; a memory that nothing fits into is refused', async () => {
  makeRows(join(folder, 'some.npy'), 20, [WIDTH]);
  const { status, stderr } = await type('run', 'mlp', '-i', 'some.npy', '-o', 'some-out.npy');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /rows\/s seen in a trial/);
  const tight = await type('run', 'mlp', '-i', 'some.npy', '-o', 'no.npy', '--stage', 'cpu,memory=1MiB');
  assertFails(tight, { status: 78, code: 'TANDEM_PLAN_IMPOSSIBLE', says: /memory=\d+MiB/ });
});

test('a job of few rows is given small micro-batches without measuring too, so that both stages have something to do', async () => {
  const rowsAtOnce = async (rows: number) => {
    makeRows(join(folder, 'few.npy'), rows, [WIDTH]);
    const run = ['run', 'mlp', '-i', 'few.npy', '-o', `few-${rows}.npy`, '--plan', 'quick', '--json'];
    const { status, stdout, stderr } = await type(...run);
    assert.equal(status, 0, stderr);
    const { microBatchRows, microBatches } = JSON.parse(stdout.toString());
    return [microBatchRows, microBatches];
  };
  assert.deepEqual(await rowsAtOnce(20), [2, 10]);
  assert.deepEqual(await rowsAtOnce(3), [1, 3]);
  assert.deepEqual(await rowsAtOnce(300), [32, 10]);
});
