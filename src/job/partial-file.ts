/** A file that is written as `<path>.partial` and shows its final name only when it is whole and on the disk. */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TandemError } from '../errors.js';
import { outputError } from './output-error.js';

/** Systems that cannot sync a folder say so with one of these; the rename is then as durable as they make it. */
const NO_FOLDER_SYNC = new Set(['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP']);

export function partialPath(path: string): string {
  return `${path}.partial`;
}

/** Every method throws TANDEM_OUTPUT_FAILED with the system's error as its cause. */
export class PartialFile {
  readonly path: string;
  /** The output that messages name: a person knows nothing of the files beside it. */
  readonly #output: string;
  readonly #handle: FileHandle;
  #position = 0;
  #open = true;

  private constructor(path: string, output: string, handle: FileHandle) {
    this.path = path;
    this.#output = output;
    this.#handle = handle;
  }

  /** Opens `<path>.partial` anew. One that an earlier run left behind is replaced: the caller holds the output's lock. */
  static async create(path: string, output = path): Promise<PartialFile> {
    const { O_RDWR, O_CREAT, O_EXCL } = constants;
    try {
      await rm(partialPath(path), { force: true });
      return new PartialFile(path, output, await open(partialPath(path), O_RDWR | O_CREAT | O_EXCL, 0o666));
    } catch (cause) {
      throw outputError(output, cause);
    }
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#position;
  }

  /** Append. `bytes` may be shared memory; they are not kept. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.writeAt(bytes, this.#position);
    this.#position += bytes.length;
  }

  /** Overwrite what is already there. */
  async writeAt(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Drop what lies from `size` on. */
  async truncate(size: number): Promise<void> {
    try {
      await this.#handle.truncate(size);
      this.#position = size;
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Read back what was written, filling `into`. */
  async readAt(into: Uint8Array, position: number): Promise<void> {
    try {
      for (let done = 0; done < into.length; ) {
        const { bytesRead } = await this.#handle.read(into, done, into.length - done, position + done);
        if (bytesRead === 0) throw new Error('it was shortened while the job ran');
        done += bytesRead;
      }
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Put the file under its final name: contents first, then the name, then the folder that holds it. */
  async show({ replace }: { replace: boolean }): Promise<void> {
    try {
      await this.#handle.sync();
      await this.close();
      if (!replace) await refuseExisting(this.path);
      await rename(partialPath(this.path), this.path);
      await syncFolder(dirname(this.path));
    } catch (cause) {
      throw outputError(this.#output, cause);
    }
  }

  /** Leave `<path>.partial` as it is; one in which nothing was written is of use to nobody and goes. */
  async abandon(): Promise<void> {
    if (this.#position === 0) await this.remove();
    else await this.close();
  }

  async remove(): Promise<void> {
    if (!this.#open) return;
    await this.close();
    await rm(partialPath(this.path), { force: true });
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#handle.close();
  }
}

/** Throws TANDEM_OUTPUT_EXISTS when something has the name already. */
export async function refuseExisting(path: string): Promise<void> {
  if ((await lstat(path).catch(() => null)) === null) return;
  throw new TandemError('TANDEM_OUTPUT_EXISTS', `the output ${path} exists already`, {
    remedy: 'give --force to replace it, or name another output',
  });
}

async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, 'r');
    await handle.sync();
  } catch (error) {
    if (!NO_FOLDER_SYNC.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await handle?.close();
  }
}
