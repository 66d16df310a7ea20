/**
 * What the queue costs: milliseconds a shard from Redis to completion by a BullMQ worker with this package's options, and the share of a core that an idle
 * `tandem worker` takes.
 *
 *   node dist/bench/queue.js [--shards 1000] [--idle 30]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { RedisServer } from '../scripts/redis-server.js';
import { JobQueue, queueName, shardWorkerOptions } from '../src/cluster/job-queue.js';
import { queueAddress } from '../src/cluster/queue-address.js';
import { queueLibrary } from '../src/cluster/queue-library.js';

const { values } = parseArgs({
  options: { shards: { type: 'string', default: '1000' }, idle: { type: 'string', default: '30' } },
});
const [shards, idle] = [Number(values.shards), Number(values.idle)];
const folder = mkdtempSync(join(tmpdir(), 'tandem-queue-bench-'));
const redis = await RedisServer.open();
const address = queueAddress(redis.url);
try {
  await measureQueue();
  await measureIdle();
} finally {
  await redis.close();
  rmSync(folder, { recursive: true });
}

async function measureQueue(): Promise<void> {
  const id = '0'.repeat(64);
  const queue = await JobQueue.open(address, id);
  const begun = performance.now();
  await queue.add(Array.from({ length: shards }, (_, shard) => ({ shard })));
  const added = performance.now();
  const { bullmq } = await queueLibrary();
  await new Promise<void>((done) => {
    let left = shards;
    const worker = new bullmq.Worker(queueName(id), async () => {}, shardWorkerOptions(address, 'bench', {}));
    worker.on('error', (error) => console.error(error.message));
    worker.on('completed', () => {
      left -= 1;
      if (left === 0) void worker.close().then(done);
    });
  });
  const drained = performance.now();
  await queue.close();
  const each = (from: number, to: number) => `${((to - from) / shards).toFixed(2)} ms`;
  console.log(
    `${shards} shards: ${each(begun, added)} a shard to submit, ${each(added, drained)} a shard to take and complete`,
  );
}

async function measureIdle(): Promise<void> {
  const env = { ...process.env, TANDEM_QUEUE: redis.url };
  const worker = spawn(process.execPath, [resolve('dist/bundle/src/cli/tandem.js'), 'worker'], {
    cwd: folder,
    env,
    stdio: 'ignore',
  });
  await new Promise((done) => setTimeout(done, 5_000));
  const before = cpuSeconds(worker);
  await new Promise((done) => setTimeout(done, idle * 1_000));
  const share = (cpuSeconds(worker) - before) / idle;
  const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${worker.pid}/status`, 'utf8'))![1]!;
  worker.kill('SIGTERM');
  console.log(
    `an idle worker: ${(share * 100).toFixed(2)} % of a core over ${idle} s, ${Math.round(Number(memory) / 1024)} MiB resident`,
  );
}

/** User and system time, in clock ticks of a hundredth of a second. */
function cpuSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
