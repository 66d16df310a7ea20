/** Compares a job's plan, its commits and its queue: what Redis has lost is added again, and what is done is taken out. */
import { forgetFound } from './fatal-rows.js';
import type { JobQueue, ShardWork } from './job-queue.js';
import { workId } from './job-queue.js';
import { committedShards } from './job-state.js';
import type { Manifest } from './manifest.js';
import type { Store } from './store.js';

export interface Reconciled {
  readonly committed: ReadonlySet<number>;
  /** Shards that were added to the queue. */
  readonly added: number;
  /** Shards that no machine could finish, with the last reason. */
  readonly failed: readonly { readonly shard: number; readonly why: string }[];
}

/** @param retry also those that have failed. Throws TANDEM_QUEUE_*, TANDEM_STORE_FAILED. */
export async function reconcile(
  manifest: Pick<Manifest, 'shards'>,
  store: Store,
  queue: JobQueue,
  { retry = false } = {},
): Promise<Reconciled> {
  // The queue first: a shard that is committed in between is in both.
  const queued = await queue.idsIn('waiting', 'active', 'delayed');
  const over = await queue.idsIn('completed', 'failed');
  const failures = await queue.failures();
  const committed = await committedShards(store);
  const open = manifest.shards.map(({ index }) => index).filter((index) => !committed.has(index));
  const failed = failures
    .filter(({ work }) => !work.second && !committed.has(work.shard))
    .map(({ work, why }) => ({ shard: work.shard, why }));
  const given = new Set(retry ? [] : failed.map(({ shard }) => shard));
  const missing = open
    .filter((shard) => !queued.has(workId({ shard })) && !given.has(shard))
    .map((shard): ShardWork => ({ shard }));
  if (retry && missing.length > 0) await forgetFound(store, new Set(missing.map(({ shard }) => shard)));
  for (const work of missing) {
    // It is over in the queue, but has no commit: an id that is there is not added again.
    if (over.has(workId(work))) await queue.remove(workId(work));
  }
  await queue.add(missing);
  return { committed, added: missing.length, failed: retry ? [] : failed };
}
