/** Shows a job of the queue until it has ended, and says with which status. */
import type { QueueAddress } from '../cluster/queue-address.js';
import type { QueuedJob } from '../cluster/queue-status.js';
import { EXIT, TandemError } from '../errors.js';
import { formatShards } from './print-queue.js';
import { ProgressBar } from './progress.js';

/** Milliseconds between two looks. */
const LOOK_EVERY = 1_000;

export interface Watching {
  readonly quiet?: boolean;
  /** Called where the queue has forgotten the job: puts it back. */
  readonly onForgotten?: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** The job at its end, or `null` after the signal. Throws TANDEM_QUEUE_*, TANDEM_JOB_UNKNOWN. */
export async function watchJob(
  asked: string,
  address: QueueAddress,
  { quiet, onForgotten, signal }: Watching,
): Promise<QueuedJob | null> {
  const { queueStatus } = await import('../cluster/queue-status.js');
  const bar = new ProgressBar(process.stderr, { quiet, lineEvery: 10_000 });
  try {
    while (!signal.aborted) {
      const job = await look(asked, address, queueStatus, onForgotten);
      if (job && job.state !== 'open') return job;
      if (job) bar.note(formatShards(job));
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
    return null;
  } finally {
    bar.clear();
  }
}

async function look(
  asked: string,
  address: QueueAddress,
  queueStatus: (address: QueueAddress, asked: string) => Promise<{ readonly jobs: readonly QueuedJob[] }>,
  onForgotten?: () => Promise<void>,
): Promise<QueuedJob | null> {
  try {
    return (await queueStatus(address, asked)).jobs[0] ?? null;
  } catch (error) {
    if (!(error instanceof TandemError) || !onForgotten) throw error;
    // Redis is away, or has lost the job: both pass.
    if (error.code === 'TANDEM_JOB_UNKNOWN') await onForgotten();
    else if (error.code !== 'TANDEM_QUEUE_UNREACHABLE') throw error;
    return null;
  }
}

/** The status of a job that has ended. Throws TANDEM_JOB_FAILED, TANDEM_JOB_CANCELLED. */
export function exitOfJob({ state, output, why }: QueuedJob): number {
  if (state === 'merged') return EXIT.ok;
  if (state === 'cancelled') {
    throw new TandemError('TANDEM_JOB_CANCELLED', `the job of ${output} was cancelled`, {
      remedy: 'the same tandem submit goes on with it',
    });
  }
  throw new TandemError('TANDEM_JOB_FAILED', `the job of ${output} has failed: ${why ?? 'no reason is known'}`, {
    remedy: 'its other shards are done and kept; when the cause is gone, the same tandem submit tries the rest again',
  });
}
