/** The sink: a format's writer with its files, journal and lock. */

import { inOrder } from '../rows/source.js';
import type { Commits, Progress } from './commits.js';
import type { ErrorsFile } from './errors-file.js';
import type { OutputFiles } from './files.js';
import { Journal, journalPath } from './journal.js';
import type { BeginRecord } from './journal-record.js';
import type { OutputLock } from './lock.js';
import type { PartialFile } from './partial-file.js';
import type { RowsWriter } from './rows-writer.js';
import { microBatchesOf, type RowsDone, type Sink } from './sink.js';

export interface OutputParts {
  readonly writer: RowsWriter;
  /** Absent for stdout. */
  readonly file?: FileParts;
}

export interface FileParts {
  readonly files: OutputFiles;
  readonly partial: PartialFile;
  readonly errors: ErrorsFile;
  readonly lock: OutputLock;
  /** Whether a file under the final name is replaced. */
  readonly replace: boolean;
  /** Absent if the rows can be read only once. */
  readonly journal?: { readonly begin: BeginRecord; readonly file: Journal; readonly commits: Commits };
  /** Counts of the earlier runs. */
  readonly before?: Omit<Progress, 'rows' | 'state'>;
}

export class OutputSink implements Sink {
  readonly #parts: OutputParts;
  /** Rows that the files hold. */
  #rows: number;
  #failedRows: number;
  #nonFiniteRows: number;
  /** Micro-batches with good rows, including earlier runs. */
  #microBatches: number;
  /** Whether the files may hold an incomplete micro-batch. */
  #torn = false;
  #finishing = false;
  #closed = false;

  constructor(parts: OutputParts) {
    this.#parts = parts;
    this.#rows = parts.file?.journal?.commits.rows ?? 0;
    this.#failedRows = parts.file?.before?.failedRows ?? 0;
    this.#nonFiniteRows = parts.file?.before?.nonFiniteRows ?? 0;
    this.#microBatches = parts.file?.before?.microBatches ?? 0;
  }

  get kept(): number | null {
    return this.#parts.file?.journal?.commits.rows ?? null;
  }

  /** Writes the whole micro-batch or, if it throws, nothing of it. */
  async write(batch: RowsDone): Promise<void> {
    const { writer, file } = this.#parts;
    await file?.lock.check();
    const failures = inOrder(batch.failures, batch.failed);
    const marks = file?.files.marks() ?? {};
    try {
      await writer.write(batch);
      await file?.errors.write(failures);
    } catch (error) {
      await file?.files.rewind(marks).catch(() => {
        this.#torn = true;
      });
      throw error;
    }
    this.#rows += batch.rows;
    this.#microBatches += microBatchesOf(batch);
    this.#failedRows += failures.length;
    this.#nonFiniteRows += batch.nonFiniteRows;
    file?.journal?.commits.offer(() => this.progress());
  }

  progress(): Progress {
    return {
      rows: this.#rows,
      failedRows: this.#failedRows,
      nonFiniteRows: this.#nonFiniteRows,
      microBatches: this.#microBatches,
      state: this.#parts.writer.state(),
    };
  }

  /** After an error the output is left as by `abandon`. */
  async finish(): Promise<void> {
    const { file } = this.#parts;
    try {
      await (file?.journal ? this.#finishJournalled(file, file.journal) : this.#finishPlain());
    } catch (error) {
      await this.abandon();
      throw error;
    }
    this.#closed = true;
    await file?.lock.release();
  }

  /** Never throws, because it is called after another error. */
  async abandon(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { file } = this.#parts;
    const isHeld = (await file?.lock.check().catch(() => false)) !== false;
    const steps = isHeld ? this.#abandonSteps() : this.#lostLockSteps();
    for (const step of steps) await step()?.catch(() => {});
  }

  #abandonSteps() {
    const { writer, file } = this.#parts;
    return [
      () => (file?.journal ? this.#keep(file.journal.commits) : this.#finishWriter()),
      () => writer.dispose(),
      () => file?.errors.abandon(),
      () => file?.partial.abandon(),
      () => file?.journal?.file.close(),
      // A journal without rows is useless.
      () => (this.kept === 0 ? file?.files.disk.remove(journalPath(file.files.output)) : undefined),
      () => file?.lock.release(),
    ];
  }

  /** The steps after the lock was lost: another process may already write to the same files. */
  #lostLockSteps() {
    const { writer, file } = this.#parts;
    return [
      () => file?.journal?.commits.settle(),
      () => writer.dispose(),
      () => file?.errors.abandon(),
      () => file?.partial.close(),
      () => file?.journal?.file.close(),
      () => file?.lock.release(),
    ];
  }

  async #finishPlain(): Promise<void> {
    const { writer, file } = this.#parts;
    await this.#finishWriter();
    await writer.dispose();
    // Rename the output last: if it exists, its errors file is complete too.
    await file?.lock.confirm();
    await file?.errors.finish();
    await file?.lock.confirm();
    await file?.partial.publish({ replace: file.replace });
  }

  /** Like `#finishPlain`, but the journal records each step before the next, so that a later run can continue after a crash. */
  async #finishJournalled(
    { files, errors, partial, lock, replace }: FileParts,
    { begin, file, commits }: NonNullable<FileParts['journal']>,
  ): Promise<void> {
    await commits.flush(this.progress());
    await this.#finishWriter();
    const last = await commits.flush(this.progress(), { sealed: true });
    await this.#parts.writer.dispose();
    await lock.confirm();
    await errors.finish();
    await lock.confirm();
    await partial.publish({ replace });
    await file.close();
    // The short journal holds the same facts as the long one.
    await lock.confirm();
    await Journal.shorten(files.output, begin, last, files.disk).catch(() => {});
  }

  /** Commits all rows, and makes the partial files readable. */
  async #keep(commits: Commits): Promise<void> {
    await commits.settle();
    if (this.#torn || this.#finishing || this.#rows === 0) return;
    await this.#parts.writer.updateHeaders();
    await commits.flush(this.progress());
  }

  /** Runs only once: an archive must not be finished twice. */
  async #finishWriter(): Promise<void> {
    if (this.#finishing) return;
    this.#finishing = true;
    await this.#parts.writer.finish();
  }
}
