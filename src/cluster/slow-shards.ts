/** Which shards run so slowly that an idle machine should run them a second time: the first commit wins. */
import { COMMITS, parseCommit } from './commit-record.js';
import type { ShardWork } from './job-queue.js';
import type { JobRun } from './job-run.js';
import type { View, WorkerReport } from './registry.js';
import type { Store } from './store.js';

/** A shard is slow when its rate is this part of the median's, and most shards are done. As Spark has it, by rate, since shards may differ in rows. */
const SLOW = 1 / 1.5;
const MOST_DONE = 0.75;
/** Commits whose rate is looked at. */
const SAMPLE = 31;
/** Milliseconds that a shard runs before its rate says anything. */
const SETTLED = 10_000;

/** Throws TANDEM_STORE_FAILED. */
export async function slowShards(
  { entry, store, manifest }: Pick<JobRun, 'entry' | 'store' | 'manifest'>,
  committed: ReadonlySet<number>,
  { workers }: View,
): Promise<ShardWork[]> {
  const reports = [...workers.values()];
  const idle = reports.filter(({ state, refuses }) => state === 'idle' && !(entry.id in refuses)).length;
  const running = reports.filter(({ job, shard }) => job === entry.id && shard !== undefined && !committed.has(shard));
  if (idle === 0 || committed.size < MOST_DONE * manifest.shards.length) return [];
  const rate = await medianRate(store);
  return chooseSlow(running, rate, Date.now())
    .slice(0, idle)
    .map((shard) => ({ shard, second: true }));
}

/** Shards whose rate is under the median's by the factor, the slowest first; one that runs twice already is left alone. */
export function chooseSlow(
  running: readonly Pick<WorkerReport, 'shard' | 'shardSince' | 'rowsPerSecond'>[],
  medianRowsPerSecond: number,
  now: number,
): number[] {
  const twice = (shard: number) => running.filter((each) => each.shard === shard).length > 1;
  return running
    .filter(({ shardSince = now, rowsPerSecond = 0, shard }) => {
      return now - shardSince >= SETTLED && rowsPerSecond < medianRowsPerSecond * SLOW && !twice(shard!);
    })
    .sort((a, b) => (a.rowsPerSecond ?? 0) - (b.rowsPerSecond ?? 0))
    .map(({ shard }) => shard!);
}

/** Rows a second of a shard, by the commits, loading included. */
async function medianRate(store: Store): Promise<number> {
  const keys = await store.list(COMMITS);
  const step = Math.max(1, Math.floor(keys.length / SAMPLE));
  const rates: number[] = [];
  for (const key of keys.filter((_, n) => n % step === 0)) {
    const bytes = await store.get(key);
    if (!bytes) continue;
    const { rows, seconds, loadSeconds } = parseCommit(bytes, key);
    rates.push(rows / Math.max(seconds + loadSeconds, 0.001));
  }
  rates.sort((a, b) => a - b);
  return rates[Math.floor(rates.length / 2)] ?? 0;
}
