/**
 * Runs one shard of a job on this machine, as an ordinary durable job, and commits its results.
 *
 * Its states: running (in a folder of this machine, named by job and shard, where a killed attempt is resumed) · staged (in the store, under the
 * attempt's own name) · committed (the record is created where there was none). The first commit wins; a later one of equal bytes is quiet, one of
 * other bytes is an error.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { TandemError } from '../errors.js';
import { identifyJob } from '../job/identify-job.js';
import type { Opened } from '../job/open-run.js';
import { closeRun, performRun } from '../job/perform-run.js';
import { type RunListener, type RunProgress, stopOf } from '../job/run-listener.js';
import type { RunRequest } from '../job/run-request.js';
import { cacheFolder } from '../machine/cache-folder.js';
import { errorsPath } from '../output/errors-file.js';
import { Journal, journalPath } from '../output/journal.js';
import type { JournalText } from '../output/journal-record.js';
import { statusOf } from '../output/status.js';
import type { RowRange } from '../rows/row-range.js';
import { type CommitRecord, commitBytes, commitKey, parseCommit, partKey } from './commit-record.js';
import { foundRows } from './fatal-rows.js';
import type { Manifest } from './manifest.js';
import type { Store } from './store.js';

export interface ShardOptions {
  /** Names this try: letters, digits, `-` and `_`. No two tries of a shard may have the same. */
  readonly attempt: string;
  readonly store: Store;
  /** When it fires, the rows in flight are finished; the promise rejects with its reason, and the same call resumes. */
  readonly signal?: AbortSignal | undefined;
  readonly listener?: RunListener;
  /** After each written micro-batch; rows are those of the shard. */
  readonly onProgress?: ((progress: RunProgress) => void) | undefined;
  /** A folder of this machine for unfinished shards. Default: in the user's cache. */
  readonly folder?: string | undefined;
  /** Of the run that are of this machine: isolation, depth, a port for metrics. */
  readonly own?: Pick<RunRequest, 'isolation' | 'depth' | 'metricsPort' | 'metricsHost'>;
}

/**
 * The commit of the shard: that of an earlier or faster attempt, if there is one. Throws TANDEM_SHARDS_FOREIGN on a machine that cannot run it
 * equally, TANDEM_SHARDS_UNEQUAL, TANDEM_STORE_FAILED, and what a run throws.
 */
export async function runShard(manifest: Manifest, index: number, options: ShardOptions): Promise<CommitRecord> {
  const { store, attempt, signal } = options;
  if (!/^[\w-]{1,80}$/.test(attempt)) {
    throw new TandemError('TANDEM_USAGE', `"${attempt}" cannot name an attempt`, {
      remedy: 'use letters, digits, - and _',
    });
  }
  if (!manifest.shards[index]) {
    throw new TandemError('TANDEM_USAGE', `there is no shard ${index}: the job has ${manifest.shards.length}`, {
      remedy: `shards are numbered from 0 to ${manifest.shards.length - 1}`,
    });
  }
  const done = await commitOf(store, index);
  if (done) return done;
  signal?.throwIfAborted();
  await checkHere(manifest);
  const path = unfinishedPath(manifest, index, options.folder);
  await mkdir(dirname(path), { recursive: true });
  const refused = (await foundRows(store, index))?.rows ?? [];
  const results = await runToEnd(shardRequest(manifest, index, path, { refused }), options);
  try {
    return await commit(manifest, index, results, { ...options, refused: refused.map(({ row }) => row) });
  } finally {
    await forget(results.path);
  }
}

/** The commit that stands; `null` if there is none. */
export async function commitOf(store: Store, index: number): Promise<CommitRecord | null> {
  const bytes = await store.get(commitKey(index));
  return bytes && parseCommit(bytes, `${commitKey(index)} of ${store.name}`);
}

/** The results of an attempt that has not come to its end; beside them is their journal. */
export function unfinishedPath({ id }: Manifest, index: number, folder = join(cacheFolder(), 'shards')): string {
  return join(folder, `${id.slice(0, 24)}.${index}`);
}

/** The request of a shard's run, or of some rows of it, whose results go to `path`. */
export function shardRequest(
  manifest: Manifest,
  index: number,
  path: string,
  some: Partial<Pick<RowRange, 'firstRow' | 'rows' | 'refused'>> = {},
): RunRequest {
  const { firstRow, rows, at } = manifest.shards[index]!;
  return {
    ...manifest.request,
    output: path,
    outputFormat: manifest.output.format,
    shard: { range: { firstRow, rows, at, ...some }, division: manifest.division },
  };
}

/** Manifests that this process has found equal to what is here. */
const checked = new Set<string>();

/** Throws TANDEM_SHARDS_FOREIGN, with the names that differ, where the model, the input or the version are others than those of the manifest. */
export async function checkHere(manifest: Manifest): Promise<void> {
  if (checked.has(manifest.id)) return;
  const { fingerprint } = await identifyJob(manifest.request);
  const now = fingerprint ?? {};
  const then = manifest.fingerprint;
  const names = [...new Set([...Object.keys(then), ...Object.keys(now)])].filter((name) => then[name] !== now[name]);
  if (names.length > 0) {
    const differences = names.map((name) => `${name}: ${then[name] ?? 'none'} there, ${now[name] ?? 'none'} here`);
    throw new TandemError(
      'TANDEM_SHARDS_FOREIGN',
      `${hostname()} cannot run shards of this job with equal bytes: it has another ${names.join(' and ')} (${differences.join('; ')})`,
      { remedy: 'put it back as it was when the job was split, or start the job anew under another output' },
    );
  }
  checked.add(manifest.id);
}

interface Results {
  readonly path: string;
  readonly loadSeconds: number;
  readonly journal: JournalText;
}

/** Where another attempt on this machine has the folder of the shard, this one takes a name of its own. */
async function runToEnd(request: RunRequest, options: ShardOptions): Promise<Results> {
  try {
    return await runOnce(request, options);
  } catch (error) {
    const isTaken = error instanceof TandemError && error.code === 'TANDEM_OUTPUT_EXISTS';
    if (!isTaken) throw error;
    return runOnce({ ...request, output: `${request.output}.${options.attempt}` }, options);
  }
}

export async function runOnce(
  request: RunRequest,
  { signal, listener: given = {}, onProgress, own = {} }: ShardOptions,
): Promise<Results> {
  const opened: Opened = {};
  const listener = onProgress ? { ...given, onProgress: (progress: RunProgress) => onProgress(progress) } : given;
  try {
    const parts = { listener, stop: stopOf(signal), command: ['run', request.model] };
    const summary = await performRun({ ...request, ...own }, opened, parts);
    if (summary?.stopped) throw signal!.reason;
    const journal = await Journal.read(request.output);
    if (!journal?.commit || (await statusOf(request.output)).state !== 'finished') {
      throw new TandemError(
        'TANDEM_INTERNAL',
        `the journal of a shard, ${journalPath(request.output)}, is not complete`,
      );
    }
    return { path: request.output, loadSeconds: summary?.loadSeconds ?? 0, journal };
  } finally {
    await closeRun(opened);
  }
}

async function commit(
  manifest: Manifest,
  index: number,
  { path, loadSeconds, journal }: Results,
  { attempt, store, refused }: ShardOptions & { readonly refused: readonly number[] },
): Promise<CommitRecord> {
  const { begin, commit: last } = journal;
  const { size } = await stat(path);
  const key = partKey(index, attempt);
  const record: CommitRecord = {
    schema: 1,
    job: manifest.id,
    shard: index,
    attempt,
    sha256: await sha256Of(path),
    bytes: size,
    rows: last!.rows,
    failedRows: last!.failedRows,
    nonFiniteRows: last!.nonFiniteRows,
    microBatches: last!.microBatches,
    refused: [...refused],
    output: key,
    devices: (begin.fingerprint.devices ?? '').split(/(?<=\)), /).filter(Boolean),
    host: hostname(),
    seconds: Math.max(0, (last!.at - begin.at) / 1000),
    loadSeconds,
    at: Date.now(),
  };
  await store.putFile(key, path);
  if (await store.putIfAbsent(commitKey(index), commitBytes(record))) return record;
  const won = await commitOf(store, index);
  // The answer to the call that won may have been lost.
  if (won?.attempt === attempt) return won;
  // One that was begun before its fatal rows were found has not done the same.
  if (won && (won.sha256 === record.sha256 || won.refused.join() !== record.refused.join())) {
    await store.remove(key);
    return won;
  }
  throw unequal(record, won, store);
}

/** The bytes of both attempts stay, so that they can be compared. */
function unequal(ours: CommitRecord, won: CommitRecord | null, store: Store): TandemError {
  const of = ({ host, devices, sha256, output }: CommitRecord) =>
    `${host} on ${devices.join(', ') || 'an unknown device'} (sha256 ${sha256.slice(0, 16)}, ${output})`;
  const other = won ? of(won) : 'an attempt whose commit is gone';
  return new TandemError(
    'TANDEM_SHARDS_UNEQUAL',
    `two runs of shard ${ours.shard} gave different bytes: ${other}, and now ${of(ours)}`,
    { remedy: `both are in ${store.name}; run the job on machines of one kind, or name the stages with --stage` },
  );
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** The local files of a shard whose results are in the store. */
export async function forget(path: string): Promise<void> {
  for (const each of [path, errorsPath(path), journalPath(path)]) await rm(each, { force: true });
}
