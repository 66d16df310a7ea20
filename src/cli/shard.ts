/** `--shard i/n`: one shard of a job, for schedulers that start a task for each; the last one to end merges. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { CommitRecord } from '../cluster/commit-record.js';
import { joinJob, shardsFolder } from '../cluster/join-job.js';
import { missingShards } from '../cluster/merge.js';
import { openStore } from '../cluster/open-store.js';
import { runShard } from '../cluster/run-shard.js';
import type { Store } from '../cluster/store.js';
import { EXIT, TandemError } from '../errors.js';
import { formatRows } from '../grouped-digits.js';
import { printError } from './fail.js';
import { mergeAndTell } from './merge.js';
import { ProgressBar } from './progress.js';
import { listenerOf, type Request } from './run.js';
import type { ShardFlags, ShardPlace } from './shard-flags.js';
import { Interrupted, stopOnSignals } from './signals.js';

interface Asked extends ShardFlags {
  readonly shard: ShardPlace;
}

/**
 * Returns the exit status. A shard that is committed has status 0 also where rows have failed: the scheduler must not run it again for that.
 */
export async function performShard(
  request: Request,
  { shard: { index, of }, store: where, merge }: Asked,
): Promise<number> {
  const bar = new ProgressBar(process.stderr, { quiet: request.quiet });
  const print = (text: string) => {
    bar.clear();
    if (!request.quiet) process.stderr.write(`tandem: ${text}\n`);
  };
  const stop = stopOnSignals(() =>
    print('stopping once the rows in flight are finished; a second signal stops at once'),
  );
  try {
    const store = await openStore(where ?? shardsFolder(request.output));
    const { onSummary: _, ...listener } = listenerOf(request, bar);
    const manifest = await joinJob(store, request, of, listener);
    if (index >= manifest.shards.length) {
      print(
        `the job has ${manifest.shards.length} shards, as many as it has micro-batches: shard ${index} has no rows`,
      );
      return EXIT.ok;
    }
    const { isolation, depth, metricsPort, metricsHost } = request;
    const own = { isolation, depth, metricsPort, metricsHost };
    const options = { attempt: attemptName(), store, signal: stop.signal, listener, own: defined(own) };
    const commit = await runShard(manifest, index, { ...options, folder: unfinishedIn(store) });
    print(describe(commit, manifest.shards.length));
    if (merge !== false) await mergeIfLast(manifest, store, request, print);
    return EXIT.ok;
  } catch (error) {
    bar.clear();
    if (stop.exitCode !== null) {
      print('what was done is kept: the same command resumes it');
      return error instanceof Interrupted ? stop.exitCode : printError(error);
    }
    return printError(error);
  } finally {
    bar.clear();
    stop.release();
  }
}

/** Two tasks may see at once that all is done: one of them has the output, and the other need not wait. */
async function mergeIfLast(
  manifest: Parameters<typeof missingShards>[0],
  store: Store,
  request: Request,
  print: (text: string) => void,
): Promise<void> {
  const left = await missingShards(manifest, store);
  if (left.length > 0) {
    print(`${left.length} of ${manifest.shards.length} shards are not done yet`);
    return;
  }
  try {
    await mergeAndTell(manifest, store, request);
  } catch (error) {
    const isTaken = error instanceof TandemError && /^TANDEM_OUTPUT_(?:EXISTS|TAKEN)$/.test(error.code);
    if (!isTaken || !/being written|taken over/.test(error.message)) throw error;
    print('another task merges the shards now');
  }
}

/** Where all machines see the folder, another one can resume what this one leaves. */
function unfinishedIn(store: Store): string | undefined {
  const path = store.pathOf('unfinished');
  return path === null ? undefined : join(resolve(path));
}

function attemptName(): string {
  const host = hostname()
    .replace(/[^\w-]/g, '_')
    .slice(0, 40);
  return `${host}-${process.pid}-${randomBytes(6).toString('hex')}`;
}

function describe({ shard, rows, failedRows, seconds }: CommitRecord, of: number): string {
  const failed = failedRows > 0 ? `, ${formatRows(failedRows)} failed` : '';
  return `shard ${shard} of ${of} is committed: ${formatRows(rows)}${failed}, ${seconds.toFixed(1)} s`;
}

function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
