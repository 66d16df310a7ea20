/** How far the job of an output is, as its journal and its lock tell. */
import { TandemError } from '../errors.js';
import { lockOwner } from '../lock-file.js';
import { Journal } from './journal.js';
import { lockPath } from './output-lock.js';

/** Stable, for programs. */
export interface JobStatus {
  readonly schema: 1;
  readonly output: string;
  readonly state: 'running' | 'stopped' | 'finished';
  /** That a crash cannot take away any more; a running job is a little further. */
  readonly rows: number;
  /** Rows in all, where the input tells. */
  readonly of: number | null;
  readonly failedRows: number;
  /** Seconds since the first run began, and since the journal was last written. */
  readonly beganSecondsAgo: number;
  readonly changedSecondsAgo: number;
  /** What is writing it. */
  readonly pid: number | null;
}

/** Throws TANDEM_JOURNAL_MISSING where nothing is known of the output, TANDEM_JOURNAL_DAMAGED, TANDEM_OUTPUT_FAILED. */
export async function statusOf(output: string): Promise<JobStatus> {
  const journal = await Journal.read(output);
  if (journal === null) throw noJournal(output);
  const { begin, commit } = journal;
  const owner = commit?.sealed ? null : await lockOwner(lockPath(output));
  return {
    schema: 1,
    output,
    state: commit?.sealed ? 'finished' : owner ? 'running' : 'stopped',
    rows: commit?.rows ?? 0,
    of: commit?.sealed ? commit.rows : begin.total,
    failedRows: commit?.failedRows ?? 0,
    beganSecondsAgo: secondsSince(begin.at),
    changedSecondsAgo: secondsSince(commit?.at ?? begin.at),
    pid: owner?.pid ?? null,
  };
}

export function noJournal(output: string): TandemError {
  return new TandemError('TANDEM_JOURNAL_MISSING', `there is no journal beside ${output}`, {
    remedy: 'name an output that tandem run writes, or has written, from a file of rows',
  });
}

function secondsSince(at: number): number {
  return Math.max(0, (Date.now() - at) / 1000);
}
