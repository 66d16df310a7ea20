/** Puts a job whose manifest is in its store into the queue, or what of it is not done yet. */
import { openConnection } from './connection.js';
import { JobQueue } from './job-queue.js';
import { reopen, storedState } from './job-state.js';
import type { Manifest } from './manifest.js';
import { openStore } from './open-store.js';
import type { QueueAddress } from './queue-address.js';
import { reconcile } from './reconcile.js';
import { type JobEntry, Registry } from './registry.js';

export interface Enqueued {
  readonly entry: JobEntry;
  /** Shards that were done before. */
  readonly done: number;
  /** Shards that this call has added. */
  readonly added: number;
  /** Whether there is nothing left to do. */
  readonly merged: boolean;
}

/**
 * Adds each shard that has no commit and is not in the queue; one that has failed is tried again, and a job that was cancelled is open again.
 * Throws TANDEM_QUEUE_*, TANDEM_STORE_FAILED.
 */
export async function enqueue(
  manifest: Manifest,
  storeName: string,
  address: QueueAddress,
  { force = false } = {},
): Promise<Enqueued> {
  const { id, shards, rows, output } = manifest;
  const entry: JobEntry = {
    schema: 1,
    id,
    store: storeName,
    output: output.path,
    shards: shards.length,
    rows,
    force,
    at: Date.now(),
  };
  const store = await openStore(storeName);
  const state = await storedState(store);
  if (state === 'merged') return { entry, done: shards.length, added: 0, merged: true };
  const client = await openConnection(address);
  try {
    if (state === 'cancelled') await reopen(store);
    const registry = new Registry(client, address);
    await registry.sweep();
    const queue = await JobQueue.open(address, id);
    try {
      const { committed, added } = await reconcile(manifest, store, queue, { retry: true });
      // Last: a worker that sees the job finds its shards.
      await registry.addJob(entry);
      return { entry, done: committed.size, added, merged: false };
    } finally {
      await queue.close();
    }
  } finally {
    client.disconnect();
  }
}
