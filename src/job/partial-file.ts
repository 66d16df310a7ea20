/** A file that grows as `<path>.partial` and shows its final name only when it is whole and on the disk. */
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { TandemError } from '../errors.js';
import { DISK, type Disk, type DiskFile } from './disk.js';
import { outputError } from './output-error.js';

/** Bytes that are read back at once. */
const READ_AT_ONCE = 1 << 20;

export function partialPath(path: string): string {
  return `${path}.partial`;
}

/** How far a file has grown: what a journal keeps of it. Plain data. */
export interface Mark {
  readonly bytes: number;
  /** Bytes at the start that may still be rewritten: a header that gets the real count at the end. */
  readonly head: number;
  /** CRC-32 of the bytes from `head` to `bytes`. */
  readonly crc: number;
}

const EMPTY: Mark = { bytes: 0, head: 0, crc: 0 };

export interface PartialOptions {
  /** The output that messages name: a person knows nothing of the files beside it. Default: the path itself. */
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

  /** Opens `<path>.partial` anew. One that an earlier run left behind is replaced: the caller holds the output's lock. */
  static async create(path: string, options: PartialOptions = {}): Promise<PartialFile> {
    const { output = path, disk = DISK } = options;
    try {
      return new PartialFile(path, await disk.create(partialPath(path)), EMPTY, options);
    } catch (cause) {
      throw outputError(output, cause);
    }
  }

  /**
   * Opens the `<path>.partial` of an earlier run as it was at `mark`; what came later is dropped.
   * Throws TANDEM_JOURNAL_DAMAGED where it is not what the earlier run has written.
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

  /** Append. `bytes` may be shared memory; they are not kept. */
  async write(bytes: Uint8Array): Promise<void> {
    const { bytes: position, head, crc } = this.#mark;
    await this.#writeAt(bytes, position);
    this.#mark = { bytes: position + bytes.length, head, crc: crc32(bytes, crc) };
  }

  /** Write the head, first or anew; it keeps its length. */
  async writeHead(bytes: Uint8Array): Promise<void> {
    await this.#writeAt(bytes, 0);
    if (this.#mark.bytes === 0) this.#mark = { bytes: bytes.length, head: bytes.length, crc: 0 };
  }

  /** Write behind the end what the next write may replace, and no mark tells of. */
  async writeTail(bytes: Uint8Array): Promise<void> {
    await this.#writeAt(bytes, this.#mark.bytes);
  }

  /** Drop what was written since `mark`. */
  async rewind(mark: Mark = EMPTY): Promise<void> {
    try {
      this.#mark = mark;
      await this.#file.truncate(mark.bytes);
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Read back what was written, filling `into`. */
  async readAt(into: Uint8Array, position: number): Promise<void> {
    try {
      if (!(await this.#fill(into, position))) throw new Error('it was shortened while the job ran');
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Settles when what has been written by now outlives a crash of the system. */
  async sync(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Put the file under its final name: contents first, then the name, then the folder that holds it. */
  async show({ replace }: { replace: boolean }): Promise<void> {
    try {
      await this.#file.sync();
      await this.close();
      await showPartial(this.path, { replace, disk: this.#disk });
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Leave `<path>.partial` as it is; one in which nothing was written is of use to nobody and goes. */
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

  /** Whether there were enough bytes. */
  async #fill(into: Uint8Array, position: number): Promise<boolean> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await this.#file.read(into, done, into.length - done, position + done);
      if (bytesRead === 0) return false;
      done += bytesRead;
    }
    return true;
  }

  /** Throws TANDEM_JOURNAL_DAMAGED unless the file holds what its mark says. */
  async #check(): Promise<void> {
    const { bytes, head, crc } = this.#mark;
    const chunk = new Uint8Array(Math.min(READ_AT_ONCE, bytes));
    let found = 0;
    for (let at = head; at < bytes; at += chunk.length) {
      const piece = chunk.subarray(0, Math.min(chunk.length, bytes - at));
      if (!(await this.#fill(piece, at))) throw notAsLeft(this.path, this.#output, 'has been shortened');
      found = crc32(piece, found);
    }
    if (found !== crc) throw notAsLeft(this.path, this.#output, 'has been changed');
  }
}

/** Gives a whole and synced `<path>.partial` its final name. Throws TANDEM_OUTPUT_EXISTS, and the system's errors. */
export async function showPartial(
  path: string,
  { replace, disk = DISK }: { replace: boolean; disk?: Disk },
): Promise<void> {
  if (!replace) await refuseExisting(path, disk);
  await disk.rename(partialPath(path), path);
  await disk.syncFolder(dirname(path));
}

/** Throws TANDEM_OUTPUT_EXISTS when something has the name already. */
export async function refuseExisting(path: string, disk = DISK): Promise<void> {
  if ((await disk.sizeOf(path).catch(() => null)) === null) return;
  throw new TandemError('TANDEM_OUTPUT_EXISTS', `the output ${path} exists already`, {
    remedy: 'give --force to replace it, or name another output',
  });
}

function notAsLeft(path: string, output: string, what: string): TandemError {
  return new TandemError(
    'TANDEM_JOURNAL_DAMAGED',
    `${output} cannot be gone on with: ${partialPath(path)} ${what} since its journal was written`,
    { remedy: 'put the file back as it was, or start over with --force-new' },
  );
}
