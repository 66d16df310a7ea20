/** When the journal is told how far a job has come: at intervals, beside the work, and whenever somebody must be sure. */
import type { WriterState } from './formats/rows-writer.js';
import type { Journal } from './journal.js';
import type { Commit } from './journal-record.js';
import type { OutputFiles } from './output-files.js';

/** Milliseconds to wait for the next commit when a job has run for `elapsed` of them. It must not change a byte of any output. */
export type Pace = (elapsed: number) => number;

/** Syncing costs little when it is rare, and at most a hundredth of the work is done twice. A journal stays small even after weeks. */
const PACE: Pace = (elapsed) => Math.min(60_000, Math.max(1_000, elapsed / 100));

/** How far the output has come; the files hold exactly these rows. */
export interface Standing {
  readonly rows: number;
  readonly failedRows: number;
  readonly state: WriterState;
}

export class Commits {
  readonly #journal: Journal;
  readonly #files: OutputFiles;
  readonly #pace: Pace;
  readonly #begunAt = performance.now();
  #lastAt = this.#begunAt;
  #rows: number;
  #running: Promise<void> | null = null;
  #failure: { readonly error: unknown } | null = null;

  /** `rows` are in the journal already. */
  constructor(journal: Journal, files: OutputFiles, rows: number, pace = PACE) {
    this.#journal = journal;
    this.#files = files;
    this.#rows = rows;
    this.#pace = pace;
  }

  /** Rows that the journal tells of. */
  get rows(): number {
    return this.#rows;
  }

  /** Begins a commit if it is time, and does not wait for it. Throws what the one before has thrown. */
  offer(standing: () => Standing): void {
    if (this.#failure) throw this.#failure.error;
    const now = performance.now();
    if (this.#running || now - this.#lastAt < this.#pace(now - this.#begunAt)) return;
    this.#lastAt = now;
    this.#running = this.#commit(standing(), false).then(
      () => {
        this.#running = null;
      },
      (error) => {
        this.#failure = { error };
        this.#running = null;
      },
    );
  }

  /** Settles when the journal tells `standing`. */
  async flush(standing: Standing, { sealed = false } = {}): Promise<Commit> {
    await this.settle();
    return this.#commit(standing, sealed);
  }

  /** Settles when nothing is under way. */
  async settle(): Promise<void> {
    await this.#running;
  }

  /** The order is the promise: bytes, sync, record, sync. What is written meanwhile is beyond the marks and does not count. */
  async #commit({ rows, failedRows, state }: Standing, sealed: boolean): Promise<Commit> {
    const files = this.#files.marks();
    await this.#files.sync();
    const commit: Commit = { kind: 'commit', rows, failedRows, files, state, sealed, at: Date.now() };
    await this.#journal.add(commit);
    this.#rows = rows;
    return commit;
  }
}
