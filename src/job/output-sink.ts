/** The sink: a format's writer, with the partial file, the errors file and the lock that a path brings with it. */
import type { ErrorsFile } from './errors-file.js';
import type { RowsWriter } from './formats/rows-writer.js';
import type { OutputLock } from './output-lock.js';
import type { PartialFile } from './partial-file.js';
import type { RowsDone, Sink } from './sink.js';

export interface OutputParts {
  readonly writer: RowsWriter;
  /** Absent for stdout. */
  readonly file?: {
    readonly partial: PartialFile;
    readonly errors: ErrorsFile;
    readonly lock: OutputLock;
    /** Whether a file under the final name is replaced. */
    readonly replace: boolean;
  };
}

export class OutputSink implements Sink {
  readonly #parts: OutputParts;
  #sealed = false;
  #closed = false;

  constructor(parts: OutputParts) {
    this.#parts = parts;
  }

  /** The micro-batch is in the partial file wholly or, when this throws, not at all. */
  async write(batch: RowsDone): Promise<void> {
    const { writer, file } = this.#parts;
    const failures = [...batch.failures].sort((a, b) => a.index - b.index);
    const size = file?.partial.size ?? 0;
    try {
      await writer.write({ ...batch, failures });
    } catch (error) {
      await file?.partial.truncate(size).catch(() => {});
      throw error;
    }
    await file?.errors.write(failures);
  }

  /** What fails here leaves the output as `abandon` does. */
  async finish(): Promise<void> {
    const { writer, file } = this.#parts;
    try {
      await this.#seal();
      await writer.dispose();
      // The output's name comes last: where it stands, its errors file stands too.
      await file?.errors.finish();
      await file?.partial.show({ replace: file.replace });
    } catch (error) {
      await this.abandon();
      throw error;
    }
    this.#closed = true;
    await file?.lock.release();
  }

  /** Never throws: it is called when something else has gone wrong already. The partial file is sealed as far as the disk allows. */
  async abandon(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { writer, file } = this.#parts;
    const steps = [
      () => this.#seal(),
      () => writer.dispose(),
      () => file?.errors.abandon(),
      () => file?.partial.abandon(),
      () => file?.lock.release(),
    ];
    for (const step of steps) await step()?.catch(() => {});
  }

  /** Once only: an archive would be put together twice. */
  async #seal(): Promise<void> {
    if (this.#sealed) return;
    this.#sealed = true;
    await this.#parts.writer.seal();
  }
}
