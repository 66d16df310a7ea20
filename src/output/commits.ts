/** Writes the job's progress to the journal: at intervals in the background, and on request. */

import type { OutputFiles } from './files.js';
import type { Journal } from './journal.js';
import type { Commit } from './journal-record.js';
import type { OutputLock } from './lock.js';
import type { WriterState } from './rows-writer.js';

/** Milliseconds until the next commit of a job that has run for `elapsed` milliseconds. It must not change any byte of the output. */
export type Pace = (elapsed: number) => number;

/** Syncs are rare and cheap, at most a hundredth of the work is repeated, and the journal stays small even after weeks. */
const PACE: Pace = (elapsed) => Math.min(60_000, Math.max(1_000, elapsed / 100));

/** The progress of an output; the files hold exactly these rows. */
export interface Progress {
  readonly rows: number;
  readonly failedRows: number;
  /** Rows with NaN or an infinity in their results. */
  readonly nonFiniteRows: number;
  readonly microBatches: number;
  readonly state: WriterState;
}

export interface CommitParts {
  readonly journal: Journal;
  readonly files: OutputFiles;
  readonly lock: OutputLock;
  /** Rows that are already in the journal. */
  readonly rows: number;
  readonly pace?: Pace;
}

export class Commits {
  readonly #journal: Journal;
  readonly #files: OutputFiles;
  readonly #lock: OutputLock;
  readonly #pace: Pace;
  readonly #startedAt = performance.now();
  #lastAt = this.#startedAt;
  #rows: number;
  #running: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor({ journal, files, lock, rows, pace = PACE }: CommitParts) {
    this.#journal = journal;
    this.#files = files;
    this.#lock = lock;
    this.#rows = rows;
    this.#pace = pace;
  }

  /** Rows that the journal records. */
  get rows(): number {
    return this.#rows;
  }

  /** Starts a commit if the interval has passed, and does not wait for it. Throws the error of the previous commit. */
  offer(progress: () => Progress): void {
    if (this.#failure) throw this.#failure.error;
    const now = performance.now();
    if (this.#running || now - this.#lastAt < this.#pace(now - this.#startedAt)) return;
    this.#lastAt = now;
    this.#running = this.#commit(progress(), false).then(
      () => {
        this.#running = null;
      },
      (error) => {
        this.#failure = { error };
        this.#running = null;
      },
    );
  }

  /** Settles when the journal records `progress`. */
  async flush(progress: Progress, { sealed = false } = {}): Promise<Commit> {
    await this.settle();
    return this.#commit(progress, sealed);
  }

  /** Settles when no commit is running. */
  async settle(): Promise<void> {
    await this.#running;
  }

  /** The order matters: bytes, sync, record, sync. Bytes written meanwhile are beyond the marks and are not committed. */
  async #commit(progress: Progress, sealed: boolean): Promise<Commit> {
    const files = this.#files.marks();
    await this.#files.sync();
    const commit: Commit = { kind: 'commit', ...progress, files, sealed, at: Date.now() };
    await this.#lock.confirm();
    await this.#journal.add(commit);
    this.#rows = progress.rows;
    return commit;
  }
}
