/** Splits a job in shards and puts them into the queue, for `tandem submit` and for `submit()`. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { TandemError } from '../errors.js';
import type { RunListener } from '../job/run-listener.js';
import type { RunRequest } from '../job/run-request.js';
import { openConnection } from './connection.js';
import { type Enqueued, enqueue } from './enqueue.js';
import { storedState } from './job-state.js';
import { joinJob, shardsFolder } from './join-job.js';
import type { Manifest } from './manifest.js';
import { openStore } from './open-store.js';
import type { QueueAddress } from './queue-address.js';

export interface Placed extends Enqueued {
  readonly manifest: Manifest;
  readonly store: string;
}

export interface Placing {
  readonly address: QueueAddress;
  readonly shards: number;
  /** Absent: a folder beside the output. */
  readonly store?: string | undefined;
  readonly listener?: RunListener | undefined;
}

/**
 * The same request again adds what is not done. The queue is asked first: nothing is read or written where it cannot be had.
 * Throws TANDEM_QUEUE_*, TANDEM_SHARDS_UNSUPPORTED, TANDEM_OUTPUT_EXISTS, TANDEM_STORE_FAILED, and what a run throws before its first row.
 */
export async function placeJob(
  request: RunRequest,
  { address, shards, store: given, listener }: Placing,
): Promise<Placed> {
  (await openConnection(address)).disconnect();
  const where = absoluteStore(given ?? shardsFolder(request.output));
  const store = await openStore(where);
  const manifest = await joinJob(store, request, shards, listener);
  const force = request.force === true;
  if (!force && (await storedState(store)) !== 'merged') refuseExisting(manifest.output.path);
  return { ...(await enqueue(manifest, where, address, { force })), manifest, store: where };
}

function absoluteStore(where: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(where) ? where : resolve(where);
}

/** Now, rather than when all shards are done. */
function refuseExisting(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
  throw new TandemError('TANDEM_OUTPUT_EXISTS', `${path} exists`, {
    remedy: 'name another output, or give --force to write over it when all shards are done',
  });
}
