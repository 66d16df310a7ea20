/** The files that an output grows in: opened by what is put after the output's name, marked and synced together. */
import { dirname } from 'node:path';
import { DISK, type Disk } from './disk.js';
import { outputError } from './output-error.js';
import { type Mark, PartialFile, partialPath } from './partial-file.js';

/** By what comes after the output's name: `''` is the output itself. */
export type Marks = Readonly<Record<string, Mark>>;

export class OutputFiles {
  readonly output: string;
  readonly disk: Disk;
  /** Where an earlier run left files that are gone on with. */
  readonly #left: Marks;
  readonly #files = new Map<string, PartialFile>();
  /** Whether files came since the last sync: then their names must be made durable too. */
  #grown = false;

  constructor(output: string, { left = {}, disk = DISK }: { left?: Marks; disk?: Disk } = {}) {
    this.output = output;
    this.disk = disk;
    this.#left = left;
  }

  /** Whether an earlier run left something in the file. */
  isLeft(suffix: string): boolean {
    return suffix in this.#left;
  }

  /**
   * `<output><suffix>.partial`: as an earlier run left it, else new.
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

  /** Bytes written in all. */
  get size(): number {
    return [...this.#files.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Drops what was written since `marks`. */
  async rewind(marks: Marks): Promise<void> {
    for (const [suffix, file] of this.#files) await file.rewind(marks[suffix]);
  }

  /** Settles when all that has been written by now outlives a crash of the system. */
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

  /** Whoever left it, the file is no longer needed. */
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
