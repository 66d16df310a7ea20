/** The files of an unfinished output: opened by their suffix, marked and synced together. */
import { dirname } from 'node:path';
import { DISK, type Disk } from './disk.js';
import { outputError } from './error.js';
import { type Mark, PartialFile, partialPath } from './partial-file.js';

/** By suffix after the output's name: `''` is the output itself. */
export type Marks = Readonly<Record<string, Mark>>;

export class OutputFiles {
  readonly output: string;
  readonly disk: Disk;
  /** The marks of the files of an earlier run that is resumed. */
  readonly #left: Marks;
  readonly #files = new Map<string, PartialFile>();
  /** Whether files were created since the last sync: then the folder must be synced too. */
  #grown = false;

  constructor(output: string, { left = {}, disk = DISK }: { left?: Marks; disk?: Disk } = {}) {
    this.output = output;
    this.disk = disk;
    this.#left = left;
  }

  /** Whether the file exists from an earlier run. */
  isLeft(suffix: string): boolean {
    return suffix in this.#left;
  }

  /**
   * Opens `<output><suffix>.partial`: as the earlier run left it, else new.
   * Throws TANDEM_OUTPUT_FAILED, TANDEM_JOURNAL_DAMAGED.
   */
  async open(suffix: string): Promise<PartialFile> {
    const path = `${this.output}${suffix}`;
    const options = { output: this.output, disk: this.disk };
    const left = this.#left[suffix];
    const file = left ? await PartialFile.reopen(path, left, options) : await PartialFile.create(path, options);
    this.#files.set(suffix, file);
    this.#grown ||= !left;
    return file;
  }

  marks(): Marks {
    return Object.fromEntries([...this.#files].map(([suffix, { mark }]) => [suffix, mark]));
  }

  /** Total bytes written. */
  get size(): number {
    return [...this.#files.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Discards the bytes written since `marks`. */
  async rewind(marks: Marks): Promise<void> {
    for (const [suffix, file] of this.#files) await file.rewind(marks[suffix]);
  }

  /** Settles when all bytes written so far survive a system crash. */
  async sync(): Promise<void> {
    const grown = this.#grown;
    this.#grown = false;
    try {
      await Promise.all([...this.#files.values()].map((file) => file.sync()));
      if (grown) await this.disk.syncFolder(dirname(this.output));
    } catch (cause) {
      this.#grown ||= grown;
      throw outputError(this.output, cause);
    }
  }

  /** Removes a file that is no longer needed, from this run or an earlier one. */
  async remove(suffix: string): Promise<void> {
    try {
      await this.#files.get(suffix)?.close();
      this.#files.delete(suffix);
      await this.disk.remove(partialPath(`${this.output}${suffix}`));
    } catch (cause) {
      throw outputError(this.output, cause);
    }
  }
}
