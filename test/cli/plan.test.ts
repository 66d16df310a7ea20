/** `tandem plan`, `tandem profile` and `run --plan`, as a person types them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

test('plan prints stages, pace and alternatives; its file runs the model and is refused for another', async () => {
  const planned = await type('plan', 'mlp', '--micro-batch', '8', '--output', 'plan.json', '--json');
  assert.equal(planned.status, 0, planned.stderr);
  const plan = JSON.parse(planned.stdout.toString());
  assert.equal(plan.cutBy, 'measured');
  assert.ok(plan.expected.verified);
  const text = await type('plan', 'mlp', '--micro-batch', '8');
  assert.match(text.stdout.toString(), /rows\/s measured in a trial/);
  assert.match(text.stdout.toString(), /not taken/);

  makeRows(join(folder, 'rows.npy'), 50, [WIDTH]);
  const one = ['plan', 'mlp', '--micro-batch', '8', '--stage', 'cpu'];
  const forJob = await type(...one, '-i', 'rows.npy', '--json');
  const { job, expected } = JSON.parse(forJob.stdout.toString());
  assert.equal(job.rows, 50);
  assert.ok(job.seconds > 0 && job.rowsPerSecond <= expected.rowsPerSecond * (1 + 1e-9), 'filling is no gain');
  assert.match((await type(...one, '-i', 'rows.npy')).stdout.toString(), /50 rows in .* s:/);

  // JSON lines do not say how many they are: planning counts a small file, and estimates a large one.
  writeFileSync(join(folder, 'rows.jsonl'), `${JSON.stringify(new Array(WIDTH).fill(0.5))}\n`.repeat(70));
  const forLines = await type(...one, '-i', 'rows.jsonl', '--json');
  assert.equal(JSON.parse(forLines.stdout.toString()).job.rows, 70);

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

test('plan --schedule prints which stage computes which micro-batch when, and --json the visits', async () => {
  const stages = ['-s', 'cpu,layers=0..1', '-s', 'cpu,layers=2..2'];
  const flags = ['plan', 'mlp', ...stages, '-b', '8', '--depth', '4', '--schedule'];
  const endless = (await type(...flags)).stdout.toString();
  assert.match(endless, /schedule of the first 12 micro-batches/);
  assert.match(endless, /^stage 0 {3}0 {2}1 {2}2.* 10 11 {2}·$/m);
  assert.match(endless, /^stage 1 {3}· {2}0 {2}1.* 10 11$/m);
  makeRows(join(folder, 'few.npy'), 20, [WIDTH]);
  const few = (await type(...flags, '-i', 'few.npy')).stdout.toString();
  assert.match(few, /schedule of all 3 micro-batches.*\nstage 0 {2}0 1 2 ·\nstage 1 {2}· 0 1 2\n/);
  const { schedule } = JSON.parse((await type(...flags, '-i', 'few.npy', '--json')).stdout.toString());
  assert.equal(schedule.length, 6);
  assert.deepEqual(schedule[0], {
    ...{ kind: 'compute', pool: 0, worker: 0, from: 0, to: 1, stage: 0, pass: 0, microBatch: 0, round: 0, slot: 0 },
  });
});

test('profile prints what was measured', async () => {
  const { status, stdout, stderr } = await type('profile', 'mlp', '--micro-batch', '8');
  assert.equal(status, 0, stderr);
  assert.match(stdout.toString(), /the whole model/);
});

test('a short run without flags is not measured, and the reason is printed; a memory that nothing fits into is refused', async () => {
  makeRows(join(folder, 'some.npy'), 20, [WIDTH]);
  const { status, stderr } = await type('run', 'mlp', '-i', 'some.npy', '-o', 'some-out.npy');
  assert.equal(status, 0, stderr);
  assert.match(stderr, /the layers were not measured, which takes about \d+ s: the job takes about [\d.]+ s/);
  assert.doesNotMatch(stderr, /measured in a trial/);
  const tight = await type('run', 'mlp', '-i', 'some.npy', '-o', 'no.npy', '--stage', 'cpu,memory=1MiB');
  assertFails(tight, { status: 78, code: 'TANDEM_PLAN_IMPOSSIBLE', says: /memory=\d+MiB/ });
});

test('a plan whose estimate no run reaches is noticed by the run, and not taken again', async () => {
  const cache = join(folder, 'false');
  const own = (...args: string[]) => tandem(args, { cwd: folder, env: { XDG_CACHE_HOME: cache, TANDEM_PLAN: 'auto' } });
  const asked = ['mlp', '--micro-batch', '8', '--stage', 'cpu,threads=1'];
  const planned = await own('plan', ...asked, '--json');
  assert.equal(planned.status, 0, planned.stderr);
  const honest = JSON.parse(planned.stdout.toString()).expected.rowsPerSecond;
  // As if the machine had been a hundred times slower while it was measured, and nobody had seen it.
  const plans = join(cache, 'tandem', 'plans');
  const file = join(plans, readdirSync(plans)[0]!);
  const slowed = JSON.parse(readFileSync(file, 'utf8'));
  for (const { plan } of slowed.held.known) {
    plan.expected.busy = 0;
    plan.expected.rowsPerSecond /= 100;
    for (const stage of plan.expected.stages) stage.seconds *= 100;
  }
  writeFileSync(file, JSON.stringify(slowed));

  makeRows(join(folder, 'many.npy'), 150_000, [WIDTH]);
  const run = ['run', ...asked, '-i', 'many.npy', '-o', 'many-out.npy', '--force'];
  const first = await own(...run);
  assert.equal(first.status, 0, first.stderr);
  assert.match(first.stderr, /rows\/s measured in a trial/, 'it was taken once');
  assert.match(first.stderr, /stage 0 takes \d+ % of what was measured: the next run plans anew/);

  const second = await own(...run);
  assert.equal(second.status, 0, second.stderr);
  // No measurement has the made figure again.
  const pace = (stderr: string) => /([\d,]+) rows\/s measured in a trial/.exec(stderr)?.[1];
  assert.notEqual(pace(second.stderr), pace(first.stderr));
  const anew = await own('plan', ...asked, '--json');
  const { rowsPerSecond } = JSON.parse(anew.stdout.toString()).expected;
  assert.notEqual(rowsPerSecond, honest / 100);
});

const TWO = ['--stage', 'cpu', '--stage', 'cpu'];

test('a job of few rows is given small micro-batches without measuring too, so that both stages have something to do', async () => {
  const rowsAtOnce = async (rows: number) => {
    makeRows(join(folder, 'few.npy'), rows, [WIDTH]);
    const run = ['run', 'mlp', '-i', 'few.npy', '-o', `few-${rows}.npy`, ...TWO, '--plan', 'quick', '--json'];
    const { status, stdout, stderr } = await type(...run);
    assert.equal(status, 0, stderr);
    const { microBatchRows, microBatches } = JSON.parse(stdout.toString());
    return [microBatchRows, microBatches];
  };
  assert.deepEqual(await rowsAtOnce(20), [2, 10]);
  assert.deepEqual(await rowsAtOnce(3), [1, 3]);
  assert.deepEqual(await rowsAtOnce(300), [32, 10]);
});

test('plan and profile hold to the deadline of the flag, of the environment and of the config', async () => {
  const env = {
    XDG_CACHE_HOME: join(folder, 'slow-cache'),
    TANDEM_PLAN: 'auto',
    TANDEM_ENGINE_MODULE: new URL('../fixtures/slow-engine.js', import.meta.url).href,
  };
  const configured = join(folder, 'configured');
  mkdirSync(configured);
  writeFileSync(join(configured, 'tandem.config.json'), '{ "deadline": 1 }');
  // So many times slower than this machine that a layer takes seconds on any.
  const slow = ['-b', '1024', '--stage', 'cpu:999,provider=custom'];
  const late = { status: 1, code: 'TANDEM_STAGE_TIMEOUT' };
  const model = makeOnnx('mlp', join(folder, 'wide'), { layers: 1, hidden: 1024 });
  assertFails(await tandem(['plan', model, ...slow, '--deadline', '1'], { cwd: folder, env }), late);
  assertFails(await tandem(['profile', model, ...slow], { cwd: folder, env: { ...env, TANDEM_DEADLINE: '1' } }), late);
  assertFails(await tandem(['plan', model, ...slow], { cwd: configured, env }), late);
});

test('the help of run shows how replicas share micro-batches', async () => {
  const { stdout } = await type('run', '--help');
  assert.match(stdout.toString().replaceAll(/\s+/g, ' '), /share= or turns=/);
});
