/**
 * Seeded runs of a job on a queue with faults: 3 workers, 60 shards; workers are killed, stopped past their lock and continued, and Redis is
 * killed and started again or frozen for all of them. After each run the sha256 of the output is compared with that of one machine, each shard must have one
 * commit, and no process may be left.
 *
 *   node dist/scripts/cluster-faults.js [--runs 20] [--seed 1] [--shards 60] [--workers 3]
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from '../src/prove/models/random.js';
import { makeOnnx } from './make-onnx.js';
import { RedisServer } from './redis-server.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    shards: { type: 'string', default: '60' },
    workers: { type: 'string', default: '3' },
  },
});
const [runs, seed, shards, workers] = [values.runs, values.seed, values.shards, values.workers].map(Number) as [
  number,
  number,
  number,
  number,
];
const TANDEM = resolve('dist/src/cli/tandem.js');
const folder = mkdtempSync(join(tmpdir(), 'tandem-faults-'));
const mark = `TANDEM_TEST_MARK=${randomUUID()}`;
const [markName, markValue] = mark.split('=') as [string, string];
const redis = await RedisServer.open();
const env = { ...process.env, TANDEM_QUEUE: redis.url, [markName]: markValue };
const JOB = ['mlp', '-i', 'rows.jsonl', '--stage', 'cpu,threads=1', '--micro-batch', '8', '--plan', 'quick'];
const ROWS = shards * 8;
const wait = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

makeOnnx('mlp', join(folder, 'mlp'), { layers: 2 });
const rowOf = (n: number) => JSON.stringify(Array.from({ length: 16 }, (_, k) => Math.fround(Math.sin(n * 16 + k))));
writeFileSync(join(folder, 'rows.jsonl'), Array.from({ length: ROWS }, (_, n) => `${rowOf(n)}\n`).join(''));
tandem('run', ...JOB, '-o', 'single.jsonl');
const expected = sha256('single.jsonl');
let wrong = 0;
try {
  for (let n = 0; n < runs; n++) await run(seed + n);
} finally {
  await redis.close();
}
console.log(
  `${runs} runs of ${shards} shards on ${workers} workers: ${runs - wrong} with the bytes of one machine, ${wrong} not`,
);
if (wrong === 0) rmSync(folder, { recursive: true });
else console.log(`the files are in ${folder}`);
process.exitCode = wrong === 0 ? 0 : 1;

async function run(seedOfRun: number): Promise<void> {
  const random = new Random(seedOfRun);
  const next = () => random.next();
  const output = `out-${seedOfRun}.jsonl`;
  tandem('submit', ...JOB, '-o', output, '--shards', String(shards));
  const running = Array.from({ length: workers }, startWorker);
  const faults: Record<string, number> = {};
  const begun = performance.now();
  let over = false;
  const watching = watch(output).then(() => {
    over = true;
  });
  while (!over) {
    await Promise.race([wait(500 + next() * 2_500), watching]);
    if (over) break;
    const fault = ['kill', 'stop', 'redis-kill', 'redis-freeze'][Math.floor(next() * 4)]!;
    faults[fault] = (faults[fault] ?? 0) + 1;
    const victim = Math.floor(next() * workers);
    if (fault === 'kill') {
      await ended(running[victim]!, 'SIGKILL');
      running[victim] = startWorker();
    } else if (fault === 'stop') {
      const stopped = running[victim]!;
      stopped.kill('SIGSTOP');
      // Past its lock of 2 s.
      void wait(3_000 + next() * 2_000).then(() => stopped.kill('SIGCONT'));
    } else if (fault === 'redis-kill') {
      await redis.kill();
      await wait(next() * 2_000);
      await redis.start();
    } else {
      redis.freeze();
      await wait(500 + next() * 2_500);
      redis.thaw();
    }
  }
  for (const worker of running) worker.kill('SIGCONT');
  await wait(100);
  await Promise.all(running.map((worker) => ended(worker, 'SIGTERM')));
  await wait(1_000);
  const commits = readdirSync(join(folder, `${output}.shards/commit`)).length;
  const orphans = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && isOurs(pid)).length;
  const isRight = sha256(output) === expected && commits === shards && orphans === 0;
  if (!isRight) wrong += 1;
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  const told = Object.entries(faults).map(([name, count]) => `${count} ${name}`);
  console.log(
    `seed ${seedOfRun}: ${isRight ? 'equal' : `WRONG (${commits} commits, ${orphans} processes left)`}, ${seconds} s, ${told.join(', ')}`,
  );
}

function tandem(...args: string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [TANDEM, ...args], { cwd: folder, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`tandem ${args.join(' ')}: status ${status}\n${stderr}`);
}

/** The merge is the end: the store says so, which is there also where Redis is not. */
async function watch(output: string): Promise<void> {
  const limit = performance.now() + 300_000;
  while (performance.now() < limit) {
    const found = readdirSync(join(folder, `${output}.shards`)).includes('merged.json');
    if (found) return;
    await wait(200);
  }
  console.log(`${output}: not merged in 300 s`);
}

function startWorker(): ChildProcess {
  return spawn(process.execPath, [TANDEM, 'worker', '--lock', '2'], { cwd: folder, env, stdio: 'ignore' });
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const over = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  if (signal === 'SIGKILL') child.kill('SIGCONT');
  await over;
}

function sha256(name: string): string {
  try {
    return createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex');
  } catch {
    return 'missing';
  }
}

function isOurs(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark);
  } catch {
    return false;
  }
}
