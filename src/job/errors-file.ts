/** The rows that failed, one JSON line each, in a file beside the output that exists only if there are any. */
import { errorLine } from './formats/batch-line.js';
import { outputError } from './output-error.js';
import type { OutputFiles } from './output-files.js';
import type { PartialFile } from './partial-file.js';
import type { RowFailure } from './source.js';

/** What comes after the output's name. */
export const ERRORS = '.errors.jsonl';

export function errorsPath(output: string): string {
  return `${output}${ERRORS}`;
}

/** Throws TANDEM_OUTPUT_FAILED like the output itself. */
export class ErrorsFile {
  readonly #files: OutputFiles;
  #file: PartialFile | null;

  private constructor(files: OutputFiles, file: PartialFile | null) {
    this.#files = files;
    this.#file = file;
  }

  /** Goes on with the file that an earlier run left, if it counts; any other is removed. */
  static async open(files: OutputFiles): Promise<ErrorsFile> {
    if (files.isLeft(ERRORS)) return new ErrorsFile(files, await files.open(ERRORS));
    await files.remove(ERRORS);
    return new ErrorsFile(files, null);
  }

  /** Failures of one micro-batch, in the order of the input. */
  async write(failures: readonly RowFailure[]): Promise<void> {
    if (failures.length === 0) return;
    this.#file ??= await this.#files.open(ERRORS);
    await this.#file.write(Buffer.from(failures.map((failure) => `${lineOf(failure)}\n`).join('')));
  }

  /** Show the file; with no failures, remove the one of an earlier run, which would speak of rows that are good now. */
  async finish(): Promise<void> {
    if (this.#file) return this.#file.show({ replace: true });
    const { output, disk } = this.#files;
    await disk.remove(errorsPath(output)).catch((cause) => {
      throw outputError(errorsPath(output), cause);
    });
  }

  /** Leave what there is as `<path>.partial`. */
  async abandon(): Promise<void> {
    await this.#file?.close();
  }
}

function lineOf(failure: RowFailure): string {
  if (failure.batchLine) return errorLine(failure);
  const { index, id, code, message } = failure;
  return JSON.stringify({ index, id, code, message });
}
