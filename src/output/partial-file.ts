/** A file that grows as `<path>.partial` and is renamed when it is complete and on the disk. */
import { dirname } from 'node:path';
import { crc32 } from '../crc32.js';
import { TandemError } from '../errors.js';
import { DISK, type Disk, type DiskFile } from './disk.js';
import { outputError } from './error.js';

/** Bytes of one read. */
const READ_AT_ONCE = 1 << 20;

export function partialPath(path: string): string {
  return `${path}.partial`;
}

/** The size and checksum of a file at a commit, as the journal keeps them. Plain data. */
export interface Mark {
  readonly bytes: number;
  /** Bytes at the start that may still be rewritten, such as a header whose row count is set at the end. */
  readonly head: number;
  /** CRC-32 of the bytes from `head` to `bytes`. */
  readonly crc: number;
}

const EMPTY: Mark = { bytes: 0, head: 0, crc: 0 };

export interface PartialOptions {
  /** The output's name in messages. Default: the path itself. */
  readonly output?: string;
  readonly disk?: Disk;
}

/** Every method throws TANDEM_OUTPUT_FAILED with the system's error as its cause. */
export class PartialFile {
  readonly path: string;
  readonly #output: string;
  readonly #disk: Disk;
  readonly #file: DiskFile;
  #mark: Mark;
  #open = true;

  private constructor(path: string, file: DiskFile, mark: Mark, { output = path, disk = DISK }: PartialOptions) {
    this.path = path;
    this.#output = output;
    this.#disk = disk;
    this.#file = file;
    this.#mark = mark;
  }

  /** Creates `<path>.partial`. A file of an earlier run is replaced: the caller holds the output's lock. */
  static async create(path: string, options: PartialOptions = {}): Promise<PartialFile> {
    const { output = path, disk = DISK } = options;
    try {
      return new PartialFile(path, await disk.create(partialPath(path)), EMPTY, options);
    } catch (cause) {
      throw outputError(output, cause);
    }
  }

  /**
   * Opens the `<path>.partial` of an earlier run and truncates it to `mark`.
   * Throws TANDEM_JOURNAL_DAMAGED if the file does not match the mark.
   */
  static async reopen(path: string, mark: Mark, options: PartialOptions = {}): Promise<PartialFile> {
    const { output = path, disk = DISK } = options;
    try {
      const file = await disk.open(partialPath(path));
      if (file === null) throw notAsLeft(path, output, 'is missing');
      const partial = new PartialFile(path, file, mark, options);
      try {
        await partial.#check();
        await file.truncate(mark.bytes);
      } catch (error) {
        await file.close();
        throw error;
      }
      return partial;
    } catch (cause) {
      throw outputError(output, cause);
    }
  }

  get mark(): Mark {
    return this.#mark;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#mark.bytes;
  }

  /** Append. `bytes` may be shared memory; they are not used after `write` settles. */
  async write(bytes: Uint8Array): Promise<void> {
    const { bytes: position, head, crc } = this.#mark;
    await this.#writeAt(bytes, position);
    this.#mark = { bytes: position + bytes.length, head, crc: crc32(bytes, crc) };
  }

  /** Write or rewrite the head; its length must not change. */
  async writeHead(bytes: Uint8Array): Promise<void> {
    await this.#writeAt(bytes, 0);
    if (this.#mark.bytes === 0) this.#mark = { bytes: bytes.length, head: bytes.length, crc: 0 };
  }

  /** Write bytes after the end that no mark includes and that the next write may replace. */
  async writeTail(bytes: Uint8Array): Promise<void> {
    await this.#writeAt(bytes, this.#mark.bytes);
  }

  /** Discard the bytes written since `mark`. */
  async rewind(mark: Mark = EMPTY): Promise<void> {
    try {
      this.#mark = mark;
      await this.#file.truncate(mark.bytes);
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Fill `into` with bytes that were written earlier. */
  async readAt(into: Uint8Array, position: number): Promise<void> {
    try {
      if (!(await this.#fill(into, position))) throw new Error('it was truncated while the job ran');
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Settles when the bytes written so far survive a system crash. */
  async sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Rename the file to its final name: sync the contents, then rename, then sync the folder. */
  async publish({ replace }: { replace: boolean }): Promise<void> {
    try {
      await this.#file.sync();
      await this.close();
      await publishPartial(this.path, { replace, disk: this.#disk });
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Close the file and leave `<path>.partial`. An empty one is removed. */
  async abandon(): Promise<void> {
    if (this.size === 0) await this.remove();
    else await this.close();
  }

  async remove(): Promise<void> {
    if (!this.#open) return;
    await this.close();
    await this.#disk.remove(partialPath(this.path));
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#file.close();
  }

  async #writeAt(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Returns false if the file ends before `into` is full. */
  async #fill(into: Uint8Array, position: number): Promise<boolean> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await this.#file.read(into, done, into.length - done, position + done);
      if (bytesRead === 0) return false;
      done += bytesRead;
    }
    return true;
  }

  /** Throws TANDEM_JOURNAL_DAMAGED unless the file matches the mark. */
  async #check(): Promise<void> {
    const { bytes, head, crc } = this.#mark;
    const chunk = new Uint8Array(Math.min(READ_AT_ONCE, bytes));
    let found = 0;
    for (let at = head; at < bytes; at += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, bytes - at));
      if (!(await this.#fill(part, at))) throw notAsLeft(this.path, this.#output, 'was truncated');
      found = crc32(part, found);
    }
    if (found !== crc) throw notAsLeft(this.path, this.#output, 'was changed');
  }
}

/** Renames a complete and synced `<path>.partial`. Throws TANDEM_OUTPUT_EXISTS, and the system's errors. */
export async function publishPartial(
  path: string,
  { replace, disk = DISK }: { replace: boolean; disk?: Disk },
): Promise<void> {
  if (!replace) await refuseExisting(path, disk);
  await disk.rename(partialPath(path), path);
  await disk.syncFolder(dirname(path));
}

/** Throws TANDEM_OUTPUT_EXISTS if the path exists. */
export async function refuseExisting(path: string, disk = DISK): Promise<void> {
  if ((await disk.sizeOf(path).catch(() => null)) === null) return;
  throw new TandemError('TANDEM_OUTPUT_EXISTS', `the output ${path} exists already`, {
    remedy: 'give --force to replace it, or name another output',
  });
}

function notAsLeft(path: string, output: string, what: string): TandemError {
  return new TandemError(
    'TANDEM_JOURNAL_DAMAGED',
    `${output} cannot be resumed: ${partialPath(path)} ${what} since its journal was written`,
    { remedy: 'put the file back as it was, or start over with --force-new' },
  );
}
