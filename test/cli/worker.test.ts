/** `tandem submit` and `tandem worker` as typed, on a real redis-server: the output has the bytes of one machine, whatever happens to the workers. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { NO_REDIS } from '../../scripts/redis-server.js';
import { redisFor } from '../fixtures/redis-server.js';
import { tempFolder } from '../fixtures/temp-folder.js';
import { Gate, MARK, MARKED_ENGINE, MARKED_STAGE } from './marked-rows.js';
import { assertFails, programFor, start, tandem } from './tandem-process.js';

const ROWS = 240;
const STAGE = ['--stage', 'cpu,threads=1', '--micro-batch', '8'];

interface Setup {
  /** Rows at which the engine of the test does something. */
  readonly marked?: readonly number[];
  readonly stage?: readonly string[];
}

async function prepared(t: TestContext, { marked = [], stage = STAGE }: Setup = {}) {
  const path = tempFolder(t);
  const cwd = path('');
  makeOnnx('mlp', path('mlp'), { layers: 2 });
  const value = (n: number, k: number) => (k === 0 && marked.includes(n) ? MARK : Math.fround(Math.sin(n * 16 + k)));
  const row = (n: number) => JSON.stringify(Array.from({ length: 16 }, (_, k) => value(n, k)));
  writeFileSync(path('rows.jsonl'), Array.from({ length: ROWS }, (_, n) => `${row(n)}\n`).join(''));
  const server = await redisFor(t);
  const own = stage === STAGE ? {} : MARKED_ENGINE;
  const env = { TANDEM_QUEUE: server.url, XDG_CACHE_HOME: path('cache'), ...own };
  const single = await tandem(['run', 'mlp', '-i', 'rows.jsonl', '-o', 'single.jsonl', ...stage], { cwd, env });
  assert.equal(single.status, 0, single.stderr);
  const job = (output: string, ...more: string[]) => ['mlp', '-i', 'rows.jsonl', '-o', output, ...stage, ...more];
  const sameBytes = (output: string) =>
    assert.deepEqual(readFileSync(path(output)), readFileSync(path('single.jsonl')));
  return { path, cwd, env, server, job, sameBytes };
}

const options = { skip: NO_REDIS };

test('a job of 12 shards on two workers ends with the bytes of one machine', options, async (t) => {
  const { cwd, env, server, job, sameBytes } = await prepared(t);
  const submitted = await tandem(['submit', ...job('out.jsonl', '--shards', '12', '--json')], { cwd, env });
  assert.equal(submitted.status, 0, submitted.stderr);
  assert.equal(JSON.parse(String(submitted.stdout)).added, 12);
  const workers = await Promise.all([0, 1].map(() => tandem(['worker', '--once'], { cwd, env })));
  for (const worker of workers) assert.equal(worker.status, 0, worker.stderr);
  sameBytes('out.jsonl');
  assert.match(String((await tandem(['status', '--queue'], { cwd, env })).stdout), /out\.jsonl: merged/);
  assert.equal(server.cli('keys', 'tandem:job-*'), '', 'nothing is left of its queue');
  const again = await tandem(['submit', ...job('out.jsonl', '--shards', '12')], { cwd, env });
  assert.match(again.stderr, /nothing is left to do/);
});

test('a worker that may not read there, or sees another input, takes nothing and says why', options, async (t) => {
  const { path, cwd, env, job, sameBytes } = await prepared(t);
  await tandem(['submit', ...job('out.jsonl', '--shards', '4')], { cwd, env });
  const outside = await tandem(['worker', '--once', '--root', path('cache')], { cwd, env });
  assert.equal(outside.status, 0, outside.stderr);
  assert.match(outside.stderr, /is not taken: .*lies outside.*TANDEM_WORKER_UNFIT/);
  const rows = readFileSync(path('rows.jsonl'), 'utf8');
  writeFileSync(path('rows.jsonl'), rows.replace('0', '1'));
  const worker = start(process.execPath, [programFor(env), 'worker', '--metrics-port', '0'], { cwd, env });
  let said = '';
  worker.child.stderr!.on('data', (text) => (said += text));
  await worker.says('is not taken');
  const metrics = await (await fetch(/metrics: (\S+)/.exec(said)![1]!)).text();
  for (const line of ['tandem_worker_refused_jobs 1', 'tandem_worker_busy 0'])
    assert.ok(metrics.includes(`${line}\n`), metrics);
  assert.match(metrics, /^tandem_job_shards_waiting\{job="[0-9a-f]{16}"\} 4$/m);
  // It reports that at its next look.
  for (let shown = ''; !/not taken by .*TANDEM_SHARDS_FOREIGN/.test(shown); ) {
    shown = String((await tandem(['status', '--queue'], { cwd, env })).stdout);
    assert.match(shown, /0 of 4 shards done, 4 waiting/);
  }
  worker.child.kill('SIGTERM');
  assert.equal((await worker.ended).status, 0, 'a worker that is told to stop ends well');
  writeFileSync(path('rows.jsonl'), rows);
  await tandem(['worker', '--once'], { cwd, env });
  sameBytes('out.jsonl');
});

test(
  'a worker killed in its shard leaves no process; a drained one gives its shard back; another ends the job',
  options,
  async (t) => {
    // In the second micro-batch of a shard.
    const { path, cwd, env, job, sameBytes } = await prepared(t, { marked: [28], stage: MARKED_STAGE });
    await tandem(['submit', ...job('out.jsonl', '--shards', '15')], { cwd, env });
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const gate = new Gate(path('gate'));
      const worker = start(process.execPath, [programFor(env), 'worker', '--lock', '2'], {
        cwd,
        env: { ...env, ...gate.env },
      });
      await gate.reached();
      worker.child.kill(signal);
      // A drained one finishes the rows in flight; a killed one must not get past them while its process ends.
      if (signal === 'SIGTERM') {
        await worker.says('draining');
        gate.open();
      }
      // `ended` fails if a process of it is left.
      const { status, stderr } = await worker.ended;
      if (signal === 'SIGKILL') gate.open();
      assert.equal(status, signal === 'SIGTERM' ? 0 : 137, stderr);
    }
    const last = await tandem(['worker', '--once', '--lock', '2'], { cwd, env });
    assert.equal(last.status, 0, last.stderr);
    sameBytes('out.jsonl');
    const commits = readdirSync(path('out.jsonl.shards/commit'));
    assert.equal(commits.length, 15);
  },
);

test('Redis dies and comes back empty in the middle: the job ends all the same', options, async (t) => {
  const { cwd, env, server, job, sameBytes } = await prepared(t);
  await tandem(['submit', ...job('out.jsonl', '--shards', '10')], { cwd, env });
  const worker = start(process.execPath, [programFor(env), 'worker', '--once'], { cwd, env });
  await worker.says('taking shards');
  await server.kill();
  await server.start();
  server.cli('flushall');
  const { status, stderr } = await worker.ended;
  assert.equal(status, 0, stderr);
  sameBytes('out.jsonl');
});

test(
  'a job that is cancelled in the middle leaves nothing running, and goes on when it is submitted again',
  options,
  async (t) => {
    const { cwd, env, job, sameBytes } = await prepared(t);
    const command = ['submit', ...job('out.jsonl', '--shards', '30')];
    await tandem(command, { cwd, env });
    const worker = start(process.execPath, [programFor(env), 'worker', '--once'], { cwd, env });
    await worker.says('taking shards');
    const cancelled = await tandem(['cancel', 'out.jsonl'], { cwd, env });
    assert.equal(cancelled.status, 0, cancelled.stderr);
    assert.equal((await worker.ended).status, 0);
    await tandem(command, { cwd, env });
    await tandem(['worker', '--once'], { cwd, env });
    sameBytes('out.jsonl');
  },
);

test(
  'rows that kill the process of every worker end as failed rows, and all others have their results',
  options,
  async (t) => {
    const fatal = [37, 200];
    const { path, cwd, env, job } = await prepared(t, { marked: fatal, stage: MARKED_STAGE });
    await tandem(['submit', ...job('out.jsonl', '--shards', '6')], { cwd, env });
    const worker = await tandem(['worker', '--once'], { cwd, env: { ...env, TANDEM_TEST_AT_ROW: 'kill' } });
    assert.equal(worker.status, 0, worker.stderr);
    const lines = (name: string) => readFileSync(path(name), 'utf8').trimEnd().split('\n');
    const errors = lines('out.jsonl.errors.jsonl').map((line) => JSON.parse(line));
    assert.deepEqual(
      errors.map(({ index, code }) => [index, code]),
      fatal.map((row) => [row, 'TANDEM_STAGE_DIED']),
      worker.stderr,
    );
    for (const { message } of errors)
      assert.match(message, /by itself it ends the process that computes it: .*SIGKILL/);
    const whole = lines('single.jsonl').filter((_, row) => !fatal.includes(row));
    assert.deepEqual(lines('out.jsonl'), whole, 'their neighbours have the bytes of one machine');
    assert.equal(readdirSync(path('out.jsonl.shards/commit')).length, 6);
    assert.ok(!readdirSync(path('cache/tandem/shards')).length, 'nothing is left of the tries');
  },
);

test('a shard that stands still is run a second time on an idle worker, whose commit wins', options, async (t) => {
  const { path, cwd, env, job, sameBytes } = await prepared(t, { marked: [4], stage: MARKED_STAGE });
  await tandem(['submit', ...job('out.jsonl', '--shards', '6')], { cwd, env });
  const gate = new Gate(path('gate'));
  const slow = start(process.execPath, [programFor(env), 'worker'], { cwd, env: { ...env, ...gate.env } });
  await gate.reached();
  // It ends when the job has: the gate is still closed.
  const fast = await tandem(['worker', '--once'], { cwd, env });
  assert.equal(fast.status, 0, fast.stderr);
  sameBytes('out.jsonl');
  gate.open();
  slow.child.kill('SIGTERM');
  assert.equal((await slow.ended).status, 0, 'the slow one ends well');
  sameBytes('out.jsonl');
  const commits = readdirSync(path('out.jsonl.shards/commit')).map((name) =>
    JSON.parse(readFileSync(path(`out.jsonl.shards/commit/${name}`), 'utf8')),
  );
  assert.equal(commits.length, 6);
  const ofSlow = commits.filter(({ attempt }) => attempt.includes(`-${slow.child.pid}-`));
  assert.deepEqual(ofSlow, [], 'all commits are those of the fast one');
});

test('what cannot be submitted is refused before anything is queued', options, async (t) => {
  const { path, cwd, env, server, job } = await prepared(t);
  writeFileSync(path('taken.jsonl'), 'x');
  const existing = await tandem(['submit', ...job('taken.jsonl')], { cwd, env });
  assertFails(existing, { status: 73, code: 'TANDEM_OUTPUT_EXISTS' });
  const limit = await tandem(['submit', ...job('out.jsonl', '--max-errors', '1')], { cwd, env });
  assertFails(limit, { status: 2, code: 'TANDEM_SHARDS_UNSUPPORTED' });
  assert.equal(server.cli('keys', '*'), '');
});
