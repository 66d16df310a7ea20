/** The interface of what prepares a source's rows ahead of the stages (tokenises texts, decodes images): threads whose time is measured, as that of stages is. */

/** One call of a thread; times in microseconds of the monotonic clock. */
export interface PreparingSpan {
  /** Identifies the thread. */
  readonly thread: number;
  readonly rows: number;
  readonly startedAt: number;
  readonly finishedAt: number;
}

/** What the threads have done so far. */
export interface PreparingUse {
  readonly rows: number;
  /** Rows that were prepared while the plan was made; they are not in `rows`, nor is their time in `busySeconds`. */
  readonly rowsBefore: number;
  /** Of all threads together. */
  readonly busySeconds: number;
  /** The newest spans, a bounded number, in the order in which they finished. */
  readonly spans: readonly PreparingSpan[];
}

export interface Preparing {
  /** For a person: `tokenise texts`. */
  readonly what: string;
  /** Threads where no plan has measured how many are needed. */
  readonly usualThreads: number;
  /** Threads that prepare rows at once; may be changed at any time. 0 after `measure`, so that nothing runs while stages are measured. */
  threads: number;
  /** Seconds of one thread for a row, while nothing else ran; `null` until `measure` has seen rows. */
  readonly secondsPerRow: number | null;
  readonly use: PreparingUse;
  /** Prepares the first rows, which are kept for `read`, so that `secondsPerRow` is known. Called before any row is read. */
  measure(): Promise<void>;
}
