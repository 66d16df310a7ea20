/** The status of a job, from the journal and the lock of its output. */
import { TandemError } from '../errors.js';
import { lockHolder } from '../lock/lock-file.js';
import { Journal } from './journal.js';
import { lockPath } from './lock.js';

/** The fields are stable, for programs. */
export interface JobStatus {
  readonly schema: 1;
  readonly output: string;
  readonly state: 'running' | 'stopped' | 'finished';
  /** Durable rows; a running job has computed slightly more. */
  readonly rows: number;
  /** Number of input rows, or `null` if unknown. */
  readonly of: number | null;
  readonly failedRows: number;
  /** Rows with NaN or an infinity in their results. */
  readonly nonFiniteRows: number;
  /** Seconds since the first run began, and since the journal was last written. */
  readonly beganSecondsAgo: number;
  readonly changedSecondsAgo: number;
  /** The process that writes the output and when it last renewed its lock; all `null` if there is none. */
  readonly pid: number | null;
  readonly host: string | null;
  readonly renewedSecondsAgo: number | null;
}

/** Throws TANDEM_JOURNAL_MISSING if the output has no journal, TANDEM_JOURNAL_DAMAGED, TANDEM_OUTPUT_FAILED. */
export async function statusOf(output: string): Promise<JobStatus> {
  const journal = await Journal.read(output);
  if (journal === null) throw noJournal(output);
  const { begin, commit } = journal;
  const holder = commit?.sealed ? null : await lockHolder(lockPath(output));
  return {
    schema: 1,
    output,
    state: commit?.sealed ? 'finished' : holder ? 'running' : 'stopped',
    rows: commit?.rows ?? 0,
    of: commit?.sealed ? commit.rows : begin.total,
    failedRows: commit?.failedRows ?? 0,
    nonFiniteRows: commit?.nonFiniteRows ?? 0,
    beganSecondsAgo: secondsSince(begin.at),
    changedSecondsAgo: secondsSince(commit?.at ?? begin.at),
    pid: holder?.owner?.pid ?? null,
    host: holder?.owner?.host ?? null,
    renewedSecondsAgo: holder ? holder.renewedMs / 1000 : null,
  };
}

export function noJournal(output: string): TandemError {
  return new TandemError('TANDEM_JOURNAL_MISSING', `there is no journal next to ${output}`, {
    remedy: 'name an output that tandem run writes, or has written, from a file of rows',
  });
}

function secondsSince(at: number): number {
  return Math.max(0, (Date.now() - at) / 1000);
}
