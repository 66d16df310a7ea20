/** Computes some rows of a shard and keeps nothing of it: whether the process lives through them is the answer. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Manifest } from './manifest.js';
import { runOnce, type ShardOptions, shardRequest, unfinishedPath } from './run-shard.js';

/** Rows by their positions in the input. */
export interface Probe {
  readonly from: number;
  /** Exclusive; as `from` where no row at all is computed, which tries the process itself. */
  readonly to: number;
  /** Rows between these that are not computed. */
  readonly except: readonly number[];
}

/** Throws what a run throws, and the reason of the signal. */
export async function probeShard(
  manifest: Manifest,
  index: number,
  probe: Probe,
  options: ShardOptions,
): Promise<void> {
  // Of this machine always: it is the only one that looks at it.
  const path = `${unfinishedPath(manifest, index, options.folder)}.probe-${options.attempt}`;
  await mkdir(dirname(path), { recursive: true });
  await clear(path);
  try {
    await runOnce(shardRequest(manifest, index, path, rangeOf(manifest, index, probe)), options);
  } finally {
    await clear(path);
  }
}

/** The micro-batches, or windows, that have the probe's rows, without their other rows. Pure. */
export function rangeOf({ division, shards }: Pick<Manifest, 'division' | 'shards'>, index: number, probe: Probe) {
  const shard = shards[index]!;
  const unit = division.lengths?.window ?? division.microBatch;
  const { from, to, except } = probe;
  const firstRow = from - (from % unit);
  const end = Math.ceil(Math.max(to, from + 1) / unit) * unit;
  const rows = Math.min(end, shard.firstRow + shard.rows) - firstRow;
  const out = new Set(except);
  const refused = Array.from({ length: rows }, (_, n) => firstRow + n)
    .filter((row) => row < from || row >= to || out.has(row))
    .map((row) => ({ row, why: 'it is not part of this try' }));
  return { firstRow, rows, refused };
}

/** What a probe leaves that has ended its process. */
async function clear(path: string): Promise<void> {
  const names = await readdir(dirname(path));
  const left = names.filter((name) => name.startsWith(basename(path)));
  for (const name of left) await rm(join(dirname(path), name), { recursive: true, force: true });
}
