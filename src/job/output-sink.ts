/** The sink: a format's writer, with the files, the journal and the lock that a path brings with it. */
import type { LockFile } from '../lock-file.js';
import type { Commits, Standing } from './commits.js';
import type { ErrorsFile } from './errors-file.js';
import type { RowsWriter } from './formats/rows-writer.js';
import { Journal, journalPath } from './journal.js';
import type { Beginning } from './journal-record.js';
import type { OutputFiles } from './output-files.js';
import type { PartialFile } from './partial-file.js';
import type { RowsDone, Sink } from './sink.js';

export interface OutputParts {
  readonly writer: RowsWriter;
  /** Absent for stdout. */
  readonly file?: FileParts;
}

export interface FileParts {
  readonly files: OutputFiles;
  readonly partial: PartialFile;
  readonly errors: ErrorsFile;
  readonly lock: LockFile;
  /** Whether a file under the final name is replaced. */
  readonly replace: boolean;
  /** Absent where rows can be read only once. */
  readonly journal?: { readonly begin: Beginning; readonly file: Journal; readonly commits: Commits };
  /** What earlier runs have done. */
  readonly failedRows: number;
}

export class OutputSink implements Sink {
  readonly #parts: OutputParts;
  /** Rows that the files hold. */
  #rows: number;
  #failedRows: number;
  /** Whether the files may hold something else than whole micro-batches. */
  #torn = false;
  #sealing = false;
  #closed = false;

  constructor(parts: OutputParts) {
    this.#parts = parts;
    this.#rows = parts.file?.journal?.commits.rows ?? 0;
    this.#failedRows = parts.file?.failedRows ?? 0;
  }

  get kept(): number | null {
    return this.#parts.file?.journal?.commits.rows ?? null;
  }

  /** The micro-batch is in the files wholly or, when this throws, not at all. */
  async write(batch: RowsDone): Promise<void> {
    const { writer, file } = this.#parts;
    const failures = [...batch.failures].sort((a, b) => a.index - b.index);
    const marks = file?.files.marks() ?? {};
    try {
      await writer.write({ ...batch, failures });
      await file?.errors.write(failures);
    } catch (error) {
      await file?.files.rewind(marks).catch(() => {
        this.#torn = true;
      });
      throw error;
    }
    this.#rows += batch.rows;
    this.#failedRows += failures.length;
    file?.journal?.commits.offer(() => this.standing());
  }

  standing(): Standing {
    return { rows: this.#rows, failedRows: this.#failedRows, state: this.#parts.writer.state() };
  }

  /** What fails here leaves the output as `abandon` does. */
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

  /** Never throws: it is called when something else has gone wrong already. */
  async abandon(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { writer, file } = this.#parts;
    const steps = [
      () => (file?.journal ? this.#keep(file.journal.commits) : this.#seal()),
      () => writer.dispose(),
      () => file?.errors.abandon(),
      () => file?.partial.abandon(),
      () => file?.journal?.file.close(),
      // Of no use to anybody without a row.
      () => (this.kept === 0 ? file?.files.disk.remove(journalPath(file.files.output)) : undefined),
      () => file?.lock.release(),
    ];
    for (const step of steps) await step()?.catch(() => {});
  }

  async #finishPlain(): Promise<void> {
    const { writer, file } = this.#parts;
    await this.#seal();
    await writer.dispose();
    // The output's name comes last: where it stands, its errors file stands too.
    await file?.errors.finish();
    await file?.partial.show({ replace: file.replace });
  }

  /** As above, but each step is in the journal before the next, so that whoever comes after a crash takes up where it was. */
  async #finishJournalled(
    { files, errors, partial, replace }: FileParts,
    { begin, file, commits }: NonNullable<FileParts['journal']>,
  ): Promise<void> {
    await commits.flush(this.standing());
    await this.#seal();
    const last = await commits.flush(this.standing(), { sealed: true });
    await this.#parts.writer.dispose();
    await errors.finish();
    await partial.show({ replace });
    await file.close();
    // It tells no more than the long one does.
    await Journal.shorten(files.output, begin, last, files.disk).catch(() => {});
  }

  /** The journal is told of all rows that there are, and the files can be read as far as they go. */
  async #keep(commits: Commits): Promise<void> {
    await commits.settle();
    if (this.#torn || this.#sealing || this.#rows === 0) return;
    await this.#parts.writer.settle();
    await commits.flush(this.standing());
  }

  /** Once only: an archive would be put together twice. */
  async #seal(): Promise<void> {
    if (this.#sealing) return;
    this.#sealing = true;
    await this.#parts.writer.seal();
  }
}
