/** `submit()`: a job in shards, put into a queue for the workers of any number of machines. */
import { checkOptions } from '../job/check-options.js';
import { type RunFileOptions, requestOf } from '../job/run-file.js';
import { queueAddress } from './queue-address.js';
import { placeJob } from './submit-job.js';

/** Those of `runFile` that a machine elsewhere can keep. */
export interface SubmitOptions
  extends Omit<
    RunFileOptions,
    'signal' | 'onProgress' | 'maxErrors' | 'report' | 'trace' | 'record' | 'metricsPort' | 'metricsHost'
  > {
  /** `redis://host:6379`, or `rediss://`. Default: TANDEM_QUEUE. User, password and certificates are read from TANDEM_QUEUE_*. */
  readonly queue?: string;
  /** In how many parts. Default: 60. */
  readonly shards?: number;
  /** Where shards are committed, seen by all machines. Default: a folder beside the output. */
  readonly store?: string;
}

export interface SubmittedJob {
  readonly id: string;
  readonly store: string;
  readonly shards: number;
  readonly rows: number;
  /** Shards that were done before. */
  readonly done: number;
  /** Shards that this call has put into the queue. */
  readonly added: number;
  /** Whether the output was there already. */
  readonly merged: boolean;
}

/**
 * Splits the job in shards and puts those that are not done into the queue, as `tandem submit` does. The same call again adds nothing that is there. It returns as soon
 * as the shards are in the queue.
 *
 * @throws TandemError with a code: TANDEM_QUEUE_UNREACHABLE and TANDEM_QUEUE_DENIED within seconds, TANDEM_PACKAGE_MISSING, TANDEM_SHARDS_UNSUPPORTED,
 *   TANDEM_OUTPUT_EXISTS, TANDEM_STORE_FAILED, and what `runFile` throws before its first row
 */
export async function submit(model: string, options: SubmitOptions): Promise<SubmittedJob> {
  const { queue, shards = 60, store, ...rest } = options;
  checkOptions('runFile', model, rest);
  const listener = { onNotice: rest.onNotice };
  const placed = await placeJob(requestOf(model, rest), { address: queueAddress(queue), shards, store, listener });
  const { entry, done, added, merged } = placed;
  return { id: entry.id, store: entry.store, shards: entry.shards, rows: entry.rows, done, added, merged };
}
