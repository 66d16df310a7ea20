/** The journal of a job: a file beside the output, to which each record is added only when what it says lies on the disk. */
import { dirname } from 'node:path';
import { DISK, type Disk, type DiskFile } from './disk.js';
import { type Beginning, type Commit, encodeRecord, type JournalText } from './journal-record.js';
import { outputError } from './output-error.js';

export function journalPath(output: string): string {
  return `${output}.journal`;
}

/** Bytes that are read at once. */
const READ_AT_ONCE = 1 << 16;

export class Journal {
  readonly output: string;
  readonly #file: DiskFile;
  #bytes: number;

  private constructor(output: string, file: DiskFile, bytes: number) {
    this.output = output;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** What the journal of `output` says; `null` where there is none. Throws TANDEM_JOURNAL_DAMAGED, TANDEM_OUTPUT_FAILED. */
  static async read(output: string, disk: Disk = DISK): Promise<JournalText | null> {
    const path = journalPath(output);
    const file = await disk.open(path).catch((cause) => {
      throw outputError(path, cause);
    });
    if (file === null) return null;
    try {
      // The checks are loaded only where there is something to check.
      const { readRecords } = await import('./read-journal.js');
      return readRecords(await wholeOf(file), path);
    } finally {
      await file.close();
    }
  }

  /** A new journal, in place of one that is there. Its name shows only what is whole, so that a beginning is never torn. */
  static create(output: string, begin: Beginning, disk: Disk = DISK): Promise<Journal> {
    return Journal.#write(output, [begin], disk);
  }

  /** Goes on with a journal that was read; a torn end is cut off. */
  static async reopen(output: string, { bytes }: JournalText, disk: Disk = DISK): Promise<Journal> {
    try {
      const file = await disk.open(journalPath(output));
      if (file === null) throw new Error('its journal has just gone');
      await file.truncate(bytes);
      return new Journal(output, file, bytes);
    } catch (cause) {
      throw outputError(output, cause);
    }
  }

  /** Only these two records stay: all that is worth knowing of a job that has ended. */
  static async shorten(output: string, begin: Beginning, last: Commit, disk: Disk = DISK): Promise<void> {
    await (await Journal.#write(output, [begin, last], disk)).close();
  }

  /** Settles when the record outlives a crash of the system. What it says must do so already. */
  async add(commit: Commit): Promise<void> {
    const bytes = encodeRecord(commit);
    try {
      await writeAll(this.#file, bytes, this.#bytes);
      await this.#file.sync();
    } catch (cause) {
      throw outputError(this.output, cause);
    }
    this.#bytes += bytes.length;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  static async #write(output: string, records: readonly (Beginning | Commit)[], disk: Disk): Promise<Journal> {
    const path = journalPath(output);
    const fresh = `${path}.new`;
    const bytes = Buffer.concat(records.map(encodeRecord));
    try {
      const file = await disk.create(fresh);
      try {
        await writeAll(file, bytes, 0);
        await file.sync();
        await disk.rename(fresh, path);
        await disk.syncFolder(dirname(path));
      } catch (error) {
        await file.close();
        await disk.remove(fresh);
        throw error;
      }
      return new Journal(output, file, bytes.length);
    } catch (cause) {
      throw outputError(output, cause);
    }
  }
}

async function writeAll(file: DiskFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

async function wholeOf(file: DiskFile): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const piece = Buffer.alloc(READ_AT_ONCE);
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
}
