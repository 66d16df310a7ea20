/** The rows that failed, one JSON line each, in a file beside the output that exists only if there are any. */
import { rm } from 'node:fs/promises';
import { outputError } from './output-error.js';
import { PartialFile } from './partial-file.js';
import type { RowFailure } from './source.js';

export function errorsPath(output: string): string {
  return `${output}.errors.jsonl`;
}

/** Throws TANDEM_OUTPUT_FAILED like the output itself. */
export class ErrorsFile {
  readonly #path: string;
  #file: PartialFile | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** Failures of one micro-batch, in the order of the input. */
  async write(failures: readonly RowFailure[]): Promise<void> {
    if (failures.length === 0) return;
    this.#file ??= await PartialFile.create(this.#path);
    const lines = failures.map(({ index, id, code, message }) => `${JSON.stringify({ index, id, code, message })}\n`);
    await this.#file.write(Buffer.from(lines.join('')));
  }

  /** Show the file; with no failures, remove the one of an earlier run, which would speak of rows that are good now. */
  async finish(): Promise<void> {
    if (this.#file) return this.#file.show({ replace: true });
    await rm(this.#path, { force: true }).catch((cause) => {
      throw outputError(this.#path, cause);
    });
  }

  /** Leave what there is as `<path>.partial`. */
  async abandon(): Promise<void> {
    await this.#file?.close();
  }
}
