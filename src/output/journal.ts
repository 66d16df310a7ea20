/** The journal of a job: a file next to the output. A record is appended only after the data that it records is on the disk. */
import { dirname } from 'node:path';
import { DISK, type Disk, type DiskFile } from './disk.js';
import { outputError } from './error.js';
import { type BeginRecord, type Commit, encodeRecord, type JournalText } from './journal-record.js';

export function journalPath(output: string): string {
  return `${output}.journal`;
}

/** Bytes of one read. */
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

  /** The contents of the journal of `output`; `null` if there is none. Throws TANDEM_JOURNAL_DAMAGED, TANDEM_OUTPUT_FAILED. */
  static async read(output: string, disk: Disk = DISK): Promise<JournalText | null> {
    const path = journalPath(output);
    const file = await disk.open(path).catch((cause) => {
      throw outputError(path, cause);
    });
    if (file === null) return null;
    try {
      // The schema is loaded only if there is a journal to check.
      const { readRecords } = await import('./read-journal.js');
      return readRecords(await wholeOf(file), path);
    } finally {
      await file.close();
    }
  }

  /** Creates a journal; an existing one is replaced. It is renamed when complete, so that the begin record is never torn. */
  static create(output: string, begin: BeginRecord, disk: Disk = DISK): Promise<Journal> {
    return Journal.#write(output, [begin], disk);
  }

  /** Continues a journal in a new file: a suspended process that has the old file open does not write to the new one. */
  static reopen(output: string, { begin, commit }: JournalText, disk: Disk = DISK): Promise<Journal> {
    return Journal.#write(output, commit ? [begin, commit] : [begin], disk);
  }

  /** Keeps only these two records, which describe a finished job. */
  static async shorten(output: string, begin: BeginRecord, last: Commit, disk: Disk = DISK): Promise<void> {
    await (await Journal.#write(output, [begin, last], disk)).close();
  }

  /** Settles when the record survives a system crash. The data that it records must already be on the disk. */
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

  static async #write(output: string, records: readonly (BeginRecord | Commit)[], disk: Disk): Promise<Journal> {
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
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const chunk = Buffer.alloc(READ_AT_ONCE);
    const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, bytesRead));
    at += bytesRead;
  }
}
