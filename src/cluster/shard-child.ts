/** The process that runs a worker's shards: an ordinary durable job each. It is gone as soon as its worker is. */
import { toWire } from '../errors.js';
import { checkFit } from './check-fit.js';
import { manifestIn } from './job-state.js';
import type { Manifest } from './manifest.js';
import { mergeShards } from './merge.js';
import { openStore } from './open-store.js';
import { probeShard } from './probe-shard.js';
import { runShard } from './run-shard.js';
import type { FromShardProcess, ToShardProcess } from './shard-messages.js';
import type { Store } from './store.js';

type Task = Exclude<ToShardProcess, { kind: 'stop' }>;
type Done = Extract<FromShardProcess, { kind: 'done' }>;

/** Milliseconds between two reports of progress. */
const REPORT_EVERY = 1_000;

let stopping = new AbortController();

// The worker was killed: its shard is run elsewhere, and nothing here may live on.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// A terminal sends Ctrl-C to the whole group; the worker decides what it means.
process.on('SIGINT', () => {}).on('SIGTERM', () => {});
// One task at a time: the worker waits for the answer.
process.on('message', (message: ToShardProcess) => {
  if (message.kind === 'stop') stopping.abort(new Error('stopped'));
  else void answer(message);
});

async function answer(task: Task): Promise<void> {
  stopping = new AbortController();
  const { signal } = stopping;
  try {
    const store = await openStore(task.store);
    tell(await perform(task, await manifestIn(store), store, signal));
  } catch (error) {
    tell(signal.aborted ? { kind: 'stopped' } : { kind: 'failed', error: toWire(error) });
  }
}

async function perform(task: Task, manifest: Manifest, store: Store, signal: AbortSignal): Promise<Done> {
  if (task.kind === 'check') {
    await checkFit(manifest, task.store, task.roots);
    return { kind: 'done', rows: 0, failedRows: 0 };
  }
  if (task.kind === 'merge') {
    const { rows, failedRows } = await mergeShards(manifest, store, { force: task.force });
    return { kind: 'done', rows, failedRows };
  }
  const { attempt, shard } = task;
  if (task.kind === 'probe') {
    await probeShard(manifest, shard, task.probe, { attempt, store, signal });
    return { kind: 'done', rows: 0, failedRows: 0 };
  }
  // Where all machines see the folder, another one can resume what this one leaves.
  const folder = store.pathOf('unfinished') ?? undefined;
  const options = { attempt, store, signal, folder, onProgress: reporter() };
  const { rows, failedRows } = await runShard(manifest, shard, options);
  return { kind: 'done', rows, failedRows };
}

function reporter(): (progress: { readonly rows: number }) => void {
  let last = 0;
  return ({ rows }) => {
    const now = Date.now();
    if (now - last < REPORT_EVERY) return;
    last = now;
    tell({ kind: 'progress', rows });
  };
}

function tell(message: FromShardProcess): void {
  process.send?.(message);
}
