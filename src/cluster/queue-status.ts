/** What the queue knows of its jobs and machines at one moment. */
import { openConnection } from './connection.js';
import { JobQueue } from './job-queue.js';
import { committedShards, manifestIn } from './job-state.js';
import { openStore } from './open-store.js';
import type { QueueAddress } from './queue-address.js';
import { findJob, type JobEnd, type JobEntry, Registry, type View, type WorkerReport } from './registry.js';

export interface RunningOn {
  readonly shard: number;
  readonly host: string;
  readonly pid: number;
  readonly seconds: number;
  readonly rows: number;
  readonly rowsPerSecond: number;
}

export interface QueuedJob {
  readonly id: string;
  readonly output: string;
  readonly state: 'open' | JobEnd['state'];
  /** Of a job that failed. */
  readonly why: string | null;
  readonly shards: number;
  readonly waiting: number;
  readonly done: number;
  readonly failed: number;
  readonly running: readonly RunningOn[];
  readonly rows: number;
  readonly rowsDone: number;
  readonly rowsPerSecond: number;
  /** Estimated by the rate of now; `null` without one. */
  readonly etaSeconds: number | null;
  /** Machines that do not take it, and why. */
  readonly refusals: readonly { readonly host: string; readonly pid: number; readonly why: string }[];
  readonly secondsAgo: number;
}

export interface QueueStatus {
  readonly jobs: readonly QueuedJob[];
  readonly workers: readonly (WorkerReport & { readonly id: string; readonly secondsAgo: number })[];
  /** Entries that are not signed with this machine's secret. */
  readonly refused: readonly string[];
}

/** @param asked one job: its id, the beginning of it, or its output; absent: all. Throws TANDEM_QUEUE_*, TANDEM_JOB_UNKNOWN. */
export async function queueStatus(address: QueueAddress, asked?: string): Promise<QueueStatus> {
  const client = await openConnection(address);
  try {
    return await statusOfView(await new Registry(client, address).view(), address, asked);
  } finally {
    client.disconnect();
  }
}

/** Throws TANDEM_QUEUE_*, TANDEM_JOB_UNKNOWN. */
export async function statusOfView(view: View, address: QueueAddress, asked?: string): Promise<QueueStatus> {
  const one = asked === undefined ? null : findJob(view, asked);
  const jobs: QueuedJob[] = [];
  for (const entry of view.jobs) if (!one || one.id === entry.id) jobs.push(await openJob(entry, view, address));
  const ended = [...view.ended].filter(
    ([id]) => (one ? one.id === id : true) && !view.jobs.some((job) => job.id === id),
  );
  for (const [id, end] of ended.sort(([, a], [, b]) => b.at - a.at)) jobs.push(endedJob(id, end));
  const workers = [...view.workers].map(([id, report]) => ({ id, ...report, secondsAgo: since(report.at) }));
  return { jobs, workers, refused: view.refused };
}

async function openJob(entry: JobEntry, { workers }: View, address: QueueAddress): Promise<QueuedJob> {
  const queue = await JobQueue.open(address, entry.id);
  try {
    const { waiting = 0, delayed = 0, completed = 0, failed = 0 } = await queue.counts();
    const done = (await doneInStore(entry)) ?? {
      shards: completed,
      rows: Math.round((entry.rows * completed) / Math.max(1, entry.shards)),
    };
    const reports = [...workers.values()];
    const running = reports.filter(({ job }) => job === entry.id).map(runningOn);
    const rowsPerSecond = running.reduce((sum, each) => sum + each.rowsPerSecond, 0);
    const left = entry.rows - done.rows - running.reduce((sum, { rows }) => sum + rows, 0);
    const refusals = reports.flatMap(({ host, pid, refuses }) =>
      entry.id in refuses ? [{ host, pid, why: refuses[entry.id]! }] : [],
    );
    return {
      id: entry.id,
      output: entry.output,
      state: 'open',
      why: null,
      shards: entry.shards,
      waiting: waiting + delayed,
      done: done.shards,
      failed,
      running,
      rows: entry.rows,
      rowsDone: done.rows,
      rowsPerSecond,
      etaSeconds: rowsPerSecond > 0 ? Math.max(0, left) / rowsPerSecond : null,
      refusals,
      secondsAgo: since(entry.at),
    };
  } finally {
    await queue.close();
  }
}

/** `null` where this machine does not see the store: the queue's own counts are shown then. */
async function doneInStore({ store: where }: JobEntry): Promise<{ shards: number; rows: number } | null> {
  try {
    const store = await openStore(where);
    const { shards } = await manifestIn(store);
    const committed = await committedShards(store);
    const rows = shards.filter(({ index }) => committed.has(index)).reduce((sum, shard) => sum + shard.rows, 0);
    return { shards: committed.size, rows };
  } catch {
    return null;
  }
}

function endedJob(id: string, { state, output, shards, rows, at, why }: JobEnd): QueuedJob {
  const isDone = state === 'merged';
  return {
    id,
    output,
    state,
    why: why ?? null,
    shards,
    waiting: 0,
    done: isDone ? shards : 0,
    failed: 0,
    running: [],
    rows,
    rowsDone: isDone ? rows : 0,
    rowsPerSecond: 0,
    etaSeconds: null,
    refusals: [],
    secondsAgo: since(at),
  };
}

function runningOn({ shard, host, pid, shardSince, shardRows, rowsPerSecond }: WorkerReport): RunningOn {
  return {
    shard: shard!,
    host,
    pid,
    seconds: since(shardSince ?? Date.now()),
    rows: shardRows ?? 0,
    rowsPerSecond: rowsPerSecond ?? 0,
  };
}

function since(time: number): number {
  return Math.max(0, (Date.now() - time) / 1000);
}
