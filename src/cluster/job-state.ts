/** What the store of a job says of its end, and of the shards that are done: the truth, whatever the queue says. */
import { stat } from 'node:fs/promises';
import { TandemError } from '../errors.js';
import { COMMITS, commitKey } from './commit-record.js';
import { readManifest } from './join-job.js';
import type { Manifest } from './manifest.js';
import { mergedOf } from './merge.js';
import type { Store } from './store.js';

const CANCELLED_KEY = 'cancelled.json';

/** `merged`: and the output is as the merge left it. Throws TANDEM_STORE_FAILED. */
export async function storedState(store: Store): Promise<'open' | 'cancelled' | 'merged'> {
  const [merged, cancelled] = await Promise.all([mergedOf(store), store.get(CANCELLED_KEY)]);
  if (merged && (await stat(merged.output).catch(() => null))?.size === merged.bytes) return 'merged';
  return cancelled ? 'cancelled' : 'open';
}

/** From then on no machine begins a shard of it. */
export async function storeCancelled(store: Store): Promise<void> {
  await store.putIfAbsent(CANCELLED_KEY, Buffer.from(JSON.stringify({ at: Date.now() })));
}

/** A job that is submitted again is open again. */
export async function reopen(store: Store): Promise<void> {
  await store.remove(CANCELLED_KEY);
}

/** Throws TANDEM_SHARDS_MISSING where the store has no job, TANDEM_SHARDS_DAMAGED. */
export async function manifestIn(store: Store): Promise<Manifest> {
  const manifest = await readManifest(store);
  if (manifest) return manifest;
  throw new TandemError('TANDEM_SHARDS_MISSING', `${store.name} has no job in shards`, {
    remedy: 'see that this machine sees the same store as the one that submitted the job',
  });
}

/** The shards that are committed. */
export async function committedShards(store: Store): Promise<Set<number>> {
  const keys = await store.list(COMMITS);
  return new Set(keys.flatMap((key) => /^commit\/(\d+)\.json$/.exec(key)?.[1] ?? []).map(Number));
}

export async function isCommitted(store: Store, shard: number): Promise<boolean> {
  return (await store.get(commitKey(shard))) !== null;
}
