/** Merges the results of all shards, in order, into the one output of the job: they are written as one machine would have written them, so the bytes are the same. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { z } from 'zod';
import { TandemError } from '../errors.js';
import { OutputClaim } from '../output/claim.js';
import { errorsPath } from '../output/errors-file.js';
import { readRowsDone } from '../output/rows-done/rows-done-reader.js';
import type { Sink } from '../output/sink.js';
import { COMMITS, type CommitRecord, commitKey, parseCommit } from './commit-record.js';
import type { Manifest } from './manifest.js';
import type { Store } from './store.js';

export interface MergeOptions {
  /** Write over an output that exists and is not this job's. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Rows written so far, and in all. */
  readonly onProgress?: (rows: number, of: number) => void;
}

const SUMMARY = z.strictObject({
  schema: z.literal(1),
  job: z.string(),
  output: z.string(),
  errorsFile: z.string().nullable(),
  rows: z.int(),
  failedRows: z.int(),
  /** Rows with NaN or an infinity in their results. */
  nonFiniteRows: z.int(),
  microBatches: z.int(),
  shards: z.int(),
  /** Of all shards together, without loading. */
  shardSeconds: z.number(),
  loadSeconds: z.number(),
  mergeSeconds: z.number(),
  /** From the first commit to the last. */
  commitSpanSeconds: z.number(),
  hosts: z.array(z.string()),
  /** Those of a shard's stages, each set once. Results of different ones may differ in the last bits. */
  devices: z.array(z.string()),
  /** Of the output, in hex. */
  sha256: z.string(),
  bytes: z.int(),
});

/** The summary of a job in shards, as `--json` prints it. */
export type MergeSummary = z.infer<typeof SUMMARY>;

export const MERGED_KEY = 'merged.json';

/** Commits that are read together. */
const AT_ONCE = 32;

/** The shards that have no commit, in order. */
export async function missingShards(manifest: Manifest, store: Store): Promise<number[]> {
  const found = new Set(await store.list(COMMITS));
  return manifest.shards.flatMap(({ index }) => (found.has(commitKey(index)) ? [] : [index]));
}

/** What an earlier merge has recorded; `null` if there was none. */
export async function mergedOf(store: Store): Promise<MergeSummary | null> {
  const bytes = await store.get(MERGED_KEY);
  return bytes && (SUMMARY.safeParse(JSON.parse(Buffer.from(bytes).toString())).data ?? null);
}

/**
 * Once all shards are committed. A second merge of the same job returns the summary of the first, if the output is as that left it. Memory is
 * bounded by one micro-batch, or window. Throws TANDEM_SHARDS_MISSING, TANDEM_SHARDS_DAMAGED, TANDEM_OUTPUT_*, TANDEM_STORE_FAILED, the reason of
 * `signal`.
 */
export async function mergeShards(manifest: Manifest, store: Store, options: MergeOptions = {}): Promise<MergeSummary> {
  const begun = performance.now();
  const { path } = manifest.output;
  const before = await mergedOf(store);
  if (before && (await stat(path).catch(() => null))?.size === before.bytes) return before;
  const missing = await missingShards(manifest, store);
  if (missing.length > 0) throw notYet(manifest, missing);
  const commits = await readCommits(manifest, store);
  const claim = await OutputClaim.take(path, {
    format: manifest.output.format,
    // What an earlier merge left is replaced: its shards are those of this job.
    force: options.force === true || before !== null,
    inputs: manifest.inputs.map((input) => input.path),
    signal: options.signal,
  });
  const sink = await claim.open(null);
  try {
    await writeAll(manifest, commits, { store, sink, options });
  } catch (error) {
    await sink.abandon();
    await rm(`${path}.partial`, { force: true });
    await rm(`${errorsPath(path)}.partial`, { force: true });
    throw error;
  }
  await sink.finish();
  const summary = await summaryOf(manifest, commits, (performance.now() - begun) / 1000);
  await record(store, summary);
  // Parts of attempts that lost, or never got as far as their commit, too.
  for (const key of await store.list('part/')) await store.remove(key);
  return summary;
}

interface Writing {
  readonly store: Store;
  readonly sink: Sink;
  readonly options: MergeOptions;
}

async function writeAll(
  { output, shards, rows: all }: Manifest,
  commits: readonly CommitRecord[],
  { store, sink, options: { signal, onProgress } }: Writing,
): Promise<void> {
  let next = 0;
  for (const [n, commit] of commits.entries()) {
    const copy = `${output.path}.shard-${n}.part`;
    const path = store.pathOf(commit.output);
    const where = `${commit.output} of ${store.name}`;
    try {
      const isThere =
        path === null ? await store.getFile(commit.output, copy) : (await stat(path).catch(() => null)) !== null;
      if (!isThere) throw damaged(`${where} is committed, and is not there`, n);
      for await (const rows of readRowsDone(path ?? copy, where, commit)) {
        signal?.throwIfAborted();
        if (rows.firstRow !== next) throw damaged(`${where} has row ${rows.firstRow} where ${next} belongs`, n);
        await sink.write(rows);
        next += rows.rows;
        onProgress?.(next, all);
      }
      const { firstRow, rows } = shards[n]!;
      if (next !== firstRow + rows)
        throw damaged(`${where} ends at row ${next}, and the shard at ${firstRow + rows}`, n);
    } finally {
      if (path === null) await rm(copy, { force: true });
    }
  }
}

/** In order. Throws TANDEM_SHARDS_DAMAGED for a commit of another job or shard. */
async function readCommits({ id, shards }: Manifest, store: Store): Promise<CommitRecord[]> {
  const commits: CommitRecord[] = [];
  for (let at = 0; at < shards.length; at += AT_ONCE) {
    const some = shards.slice(at, at + AT_ONCE).map(async ({ index, rows }) => {
      const where = `${commitKey(index)} of ${store.name}`;
      const commit = parseCommit((await store.get(commitKey(index))) ?? Buffer.alloc(0), where);
      if (commit.job !== id || commit.shard !== index) throw damaged(`${where} is of another job or shard`, index);
      if (commit.rows !== rows) throw damaged(`${where} has ${commit.rows} rows, and the shard has ${rows}`, index);
      return commit;
    });
    commits.push(...(await Promise.all(some)));
  }
  return commits;
}

async function summaryOf(
  { id, output: { path } }: Manifest,
  commits: readonly CommitRecord[],
  mergeSeconds: number,
): Promise<MergeSummary> {
  const sum = (of: (commit: CommitRecord) => number) => commits.reduce((total, commit) => total + of(commit), 0);
  const failedRows = sum((commit) => commit.failedRows);
  const times = commits.map(({ at }) => at);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  const { size } = await stat(path);
  return {
    schema: 1,
    job: id,
    output: path,
    errorsFile: failedRows > 0 ? errorsPath(path) : null,
    rows: sum(({ rows }) => rows),
    failedRows,
    nonFiniteRows: sum((commit) => commit.nonFiniteRows),
    microBatches: sum((commit) => commit.microBatches),
    shards: commits.length,
    shardSeconds: sum(({ seconds }) => seconds),
    loadSeconds: sum((commit) => commit.loadSeconds),
    mergeSeconds,
    commitSpanSeconds:
      times.reduce((most, at) => Math.max(most, at), 0) / 1000 -
      times.reduce((least, at) => Math.min(least, at), Infinity) / 1000,
    hosts: [...new Set(commits.map(({ host }) => host))].sort(),
    devices: [...new Set(commits.map(({ devices }) => devices.join(' + ')))].sort(),
    sha256: hash.digest('hex'),
    bytes: size,
  };
}

async function record(store: Store, summary: MergeSummary): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(summary)}\n`);
  if (await store.putIfAbsent(MERGED_KEY, bytes)) return;
  await store.remove(MERGED_KEY);
  await store.putIfAbsent(MERGED_KEY, bytes);
}

function notYet({ shards }: Manifest, missing: readonly number[]): TandemError {
  const some = missing.slice(0, 20).join(', ');
  const more = missing.length > 20 ? ` and ${missing.length - 20} more` : '';
  const which = missing.length === 1 ? `shard ${some} is` : `shards ${some}${more} are`;
  return new TandemError('TANDEM_SHARDS_MISSING', `${which} not done yet, of ${shards.length}: nothing is merged`, {
    remedy: `run ${missing.length === 1 ? 'it' : 'them'} with --shard ${missing[0]}/${shards.length}, then merge again`,
  });
}

function damaged(what: string, shard: number): TandemError {
  return new TandemError('TANDEM_SHARDS_DAMAGED', what, {
    remedy: `remove ${commitKey(shard)} from the store, and run shard ${shard} again`,
  });
}
