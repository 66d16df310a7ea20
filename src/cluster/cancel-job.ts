/** Ends a job of the queue before it is done: its store says so, machines stop its shards, and its queue is removed. */
import { TandemError } from '../errors.js';
import { openConnection } from './connection.js';
import { endJob } from './job-keeper.js';
import { storeCancelled } from './job-state.js';
import { openStore } from './open-store.js';
import type { QueueAddress } from './queue-address.js';
import { findJob, Registry } from './registry.js';

export interface Cancelled {
  readonly id: string;
  readonly output: string;
  /** Where the shards that are done stay. */
  readonly store: string;
}

/** @param asked the id, its beginning, or the path of the output. Throws TANDEM_JOB_UNKNOWN, TANDEM_QUEUE_*, TANDEM_STORE_FAILED. */
export async function cancelJob(asked: string, address: QueueAddress): Promise<Cancelled> {
  const client = await openConnection(address);
  try {
    const registry = new Registry(client, address);
    const { id, entry, end } = findJob(await registry.view(), asked);
    if (!entry) {
      throw new TandemError('TANDEM_JOB_UNKNOWN', `the job of ${end!.output} has ended: ${end!.state}`, {
        remedy: 'there is nothing to cancel',
      });
    }
    // The truth first: a machine that has lost Redis sees it before its next shard.
    await storeCancelled(await openStore(entry.store));
    await endJob({ registry, address, entry }, 'cancelled');
    return { id, output: entry.output, store: entry.store };
  } finally {
    client.disconnect();
  }
}
