/** Runs a shard in a worker's process. One that ends its process again, or machines, is searched for the rows that do it; these then fail singly. */
import { TandemError } from '../errors.js';
import { Journal } from '../output/journal.js';
import { type FoundRows, foundRows, storeFound } from './fatal-rows.js';
import type { Manifest } from './manifest.js';
import type { Probe } from './probe-shard.js';
import { unfinishedPath } from './run-shard.js';
import { searchFatalRows } from './search-fatal-rows.js';
import { deathOf, type ShardProcess, type ShardResult } from './shard-process.js';
import type { Store } from './store.js';

/** Machines also vanish for reasons of their own, which is no sign until it happens this often. */
const MOST_VANISHED = 3;
const VANISHED = 'the machines that ran it vanished';

/** What the queue counts of a shard. */
export interface Earlier {
  /** Tries that have failed. */
  readonly attemptsMade: number;
  /** Times that its machine has vanished. */
  readonly stalledCounter: number;
}

export interface Running {
  readonly manifest: Manifest;
  readonly store: Store;
  /** The store's name, as the process opens it. */
  readonly where: string;
  readonly child: ShardProcess;
  readonly shard: number;
  readonly attempt: string;
  readonly signal: AbortSignal;
  readonly onProgress: (rows: number) => void;
  readonly onNotice: (text: string) => void;
}

/**
 * Throws what the shard throws, ShardStopped, TANDEM_STAGE_LOST for the first death of its process, and TANDEM_SHARDS_FATAL where the deaths have no
 * rows that cause them singly.
 */
export async function runOrSearch(earlier: Earlier, running: Running): Promise<ShardResult> {
  const { child, where: store, shard, attempt, signal, onProgress } = running;
  const run = () => child.perform({ kind: 'run', store, shard, attempt }, { signal, onProgress });
  const found = await foundRows(running.store, shard);
  if (earlier.stalledCounter - (found?.vanished ?? 0) >= MOST_VANISHED) {
    await search(running, { how: VANISHED, vanished: earlier.stalledCounter, found });
  }
  try {
    return await run();
  } catch (error) {
    const how = deathOf(error);
    if (how === null || earlier.attemptsMade + earlier.stalledCounter === 0) throw error;
    await search(running, { how, vanished: earlier.stalledCounter, found: await foundRows(running.store, shard) });
    return run();
  }
}

interface Death {
  readonly how: string;
  readonly vanished: number;
  /** By an earlier search. */
  readonly found: FoundRows | null;
}

async function search(running: Running, { how, vanished, found }: Death): Promise<void> {
  const { manifest, store, shard, onNotice } = running;
  if (found) throw fatal(shard, `ends its process after ${found.rows.length} of its rows were found that do: ${how}`);
  onNotice(`shard ${shard}: its process ${how}; searching for the rows that cause it`);
  const from = await firstSuspect(manifest, store, shard);
  const rows = await searchFatalRows(manifest.shards[shard]!, { store, from, how, probe: prober(running) }).catch(
    (error) => {
      if (!(error instanceof TandemError) || error.code !== 'TANDEM_STAGE_DIED') throw error;
      throw fatal(shard, `ends its process, and no few rows do it singly: ${error.message}`);
    },
  );
  await storeFound(store, shard, { rows, vanished });
  const which = rows.map(({ row }) => row).join(', ');
  onNotice(`shard ${shard}: ${rows.length === 0 ? 'no row ends its process by itself' : `fatal rows: ${which}`}`);
}

function prober({ child, where: store, shard, attempt, signal }: Running): (probe: Probe) => Promise<string | null> {
  return async (probe) => {
    try {
      await child.perform({ kind: 'probe', store, shard, attempt, probe }, { signal });
      return null;
    } catch (error) {
      const how = deathOf(error);
      if (how === null) throw error;
      return how;
    }
  };
}

/** Rows that were written were computed without harm. */
async function firstSuspect(manifest: Manifest, store: Store, shard: number): Promise<number> {
  const { firstRow, rows } = manifest.shards[shard]!;
  const path = unfinishedPath(manifest, shard, store.pathOf('unfinished') ?? undefined);
  const journal = await Journal.read(path).catch(() => null);
  const done = journal?.commit?.rows ?? 0;
  return done < rows ? firstRow + done : firstRow;
}

function fatal(shard: number, what: string): TandemError {
  return new TandemError('TANDEM_SHARDS_FATAL', `shard ${shard} ${what}`, {
    remedy: 'see why on a worker (memory, drivers, dmesg); submit the job again when that is mended',
  });
}
