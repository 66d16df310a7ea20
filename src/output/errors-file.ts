/** The errors file: one JSON line for each failed row. It exists only if rows failed. */
import { errorLine } from '../rows/json/batch-line.js';
import type { RowFailure } from '../rows/source.js';
import { outputError } from './error.js';
import type { OutputFiles } from './files.js';
import type { PartialFile } from './partial-file.js';

/** Its suffix after the output's name. */
export const ERRORS = '.errors.jsonl';

export function errorsPath(output: string): string {
  return `${output}${ERRORS}`;
}

/** Throws TANDEM_OUTPUT_FAILED. */
export class ErrorsFile {
  readonly #files: OutputFiles;
  #file: PartialFile | null;

  private constructor(files: OutputFiles, file: PartialFile | null) {
    this.#files = files;
    this.#file = file;
  }

  /** Reopens the file of an earlier run if the journal lists it; otherwise removes it. */
  static async open(files: OutputFiles): Promise<ErrorsFile> {
    if (files.isLeft(ERRORS)) return new ErrorsFile(files, await files.open(ERRORS));
    await files.remove(ERRORS);
    return new ErrorsFile(files, null);
  }

  /** Failures of one micro-batch, in input order. */
  async write(failures: readonly RowFailure[]): Promise<void> {
    if (failures.length === 0) return;
    this.#file ??= await this.#files.open(ERRORS);
    await this.#file.write(Buffer.from(failures.map((failure) => `${lineOf(failure)}\n`).join('')));
  }

  /** Rename the file to its final name. Without failures, remove the errors file of an earlier run, because it is out of date. */
  async finish(): Promise<void> {
    if (this.#file) return this.#file.publish({ replace: true });
    const { output, disk } = this.#files;
    await disk.remove(errorsPath(output)).catch((cause) => {
      throw outputError(errorsPath(output), cause);
    });
  }

  /** Close the file and leave it as `<path>.partial`. */
  async abandon(): Promise<void> {
    await this.#file?.close();
  }
}

function lineOf(failure: RowFailure): string {
  if (failure.batchLine) return errorLine(failure);
  const { index, id, code, message } = failure;
  return JSON.stringify({ index, id, code, message });
}
