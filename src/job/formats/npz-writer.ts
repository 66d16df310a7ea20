/**
 * Rows out as NPZ: the first output grows in the archive itself, each other one as an NPY file of its own beside it, which is moved into it at the end.
 * Where the disk fills up meanwhile, no row is lost: what is not in the archive is still in its own file.
 */
import { crc32 } from 'node:zlib';
import { TandemError } from '../../errors.js';
import type { Tensor } from '../../tensor.js';
import type { OutputFiles } from '../output-files.js';
import type { PartialFile } from '../partial-file.js';
import type { RowsDone } from '../sink.js';
import { ArrayRows, type ArraySpec, arrayOf } from './array-rows.js';
import { joinedCrc } from './joined-crc.js';
import { noRows } from './npy-writer.js';
import { type Earlier, type RowsWriter, runsOf, type WriterState } from './rows-writer.js';
import { type ZipEntry, ZipWriter } from './zip-writer.js';

/** Bytes that are copied into the archive at once. */
const CHUNK = 1 << 20;

interface Column {
  readonly array: ArrayRows;
  readonly suffix: string;
  readonly file: PartialFile;
}

export class NpzWriter implements RowsWriter {
  readonly #files: OutputFiles;
  readonly #archive: PartialFile;
  readonly #zip: ZipWriter;
  /** Called when a member stands, before its column goes: it settles when the member cannot be lost any more. */
  readonly #keep: () => Promise<void>;
  #arrays: readonly ArraySpec[] = [];
  /** The array that grows in the archive, behind two headers that are written anew at the end; `null` before the first row. */
  #first: ArrayRows | null = null;
  /** The others that are not in the archive yet. */
  #columns: Column[] = [];
  #rows = 0;

  private constructor(files: OutputFiles, archive: PartialFile, zip: ZipWriter, keep: () => Promise<void>) {
    this.#files = files;
    this.#archive = archive;
    this.#zip = zip;
    this.#keep = keep;
  }

  /** `files` are where `earlier` says that they are. Throws TANDEM_JOURNAL_DAMAGED where its rows are not in the archive. */
  static async open(
    files: OutputFiles,
    archive: PartialFile,
    keep: () => Promise<void>,
    earlier?: Earlier,
  ): Promise<NpzWriter> {
    if (earlier && earlier.rows > 0 && archive.size === 0) throw otherLayout(files.output);
    const writer = new NpzWriter(files, archive, new ZipWriter(archive, earlier?.state.members), keep);
    await writer.#begin(earlier?.state.arrays ?? [], earlier?.state.members?.length ?? 0);
    writer.#rows = earlier?.rows ?? 0;
    return writer;
  }

  async write(batch: RowsDone): Promise<void> {
    if (this.#arrays.length === 0) await this.#begin([...batch.outputs].map(([name, tensor]) => arrayOf(name, tensor)));
    const runs = runsOf(batch);
    for (const { array, file } of [{ array: this.#first!, file: this.#archive }, ...this.#columns]) {
      await array.write(batch.outputs.get(array.spec.name) as Tensor, batch.rows, runs, file);
    }
    this.#rows += batch.rows;
  }

  state(): WriterState {
    return { arrays: this.#arrays, members: this.#zip.entries };
  }

  /** The archive is a whole one then, with its first member; the others are still beside it. */
  async settle(): Promise<void> {
    const entry = await this.#writeHeads();
    // For whoever looks before the job goes on; a full disk has no room for it.
    if (entry) await this.#archive.writeTail(this.#zip.tableOf([entry])).catch(() => {});
  }

  async seal(): Promise<void> {
    if (this.#first === null) throw noRows();
    const entry = await this.#writeHeads();
    if (entry) this.#zip.addWritten(entry);
    while (this.#columns.length > 0) await this.#move(this.#columns[0]!);
    await this.#zip.end();
  }

  async dispose(): Promise<void> {
    for (const { file } of this.#columns) await file.close();
  }

  /** All heads tell the rows so far then. Returns the member that grows in the archive, as long as nothing stands behind it. */
  async #writeHeads(): Promise<ZipEntry | null> {
    for (const { array, file } of this.#columns) await file.writeHead(array.header(this.#rows));
    if (this.#first === null || this.#zip.entries.length > 0) return null;
    const header = this.#first.header(this.#rows);
    const { bytes, head } = this.#archive.mark;
    const entry = entryOf(this.#first, header.length + bytes - head, crcOf(header, this.#archive));
    await this.#archive.writeHead(Buffer.concat([this.#zip.headerOf(entry), header]));
    return entry;
  }

  /** A column's file goes when its member stands, so that the disk never holds more than the archive and one column. */
  async #move({ array, suffix, file }: Column): Promise<void> {
    const { mark } = this.#archive;
    try {
      const crc = crcOf(array.header(this.#rows), file);
      await this.#zip.add(memberName(array.spec), file.size, crc, () => this.#copy(file));
    } catch (error) {
      await this.#archive.rewind(mark);
      await this.#zip.end();
      throw error;
    }
    await this.#keep();
    this.#columns.shift();
    await this.#files.remove(suffix);
  }

  /** `members` of the arrays are in the archive already. */
  async #begin(arrays: readonly ArraySpec[], members = 0): Promise<void> {
    const [first, ...others] = arrays;
    if (first) {
      const array = new ArrayRows(first);
      const head = [this.#zip.headerOf(entryOf(array, 0, 0)), array.header(0)];
      if (this.#archive.size === 0) await this.#archive.writeHead(Buffer.concat(head));
      this.#first = array;
    }
    for (const [n, spec] of others.entries()) {
      const suffix = `.${n + 1}`;
      if (n + 1 < members) {
        await this.#files.remove(suffix);
        continue;
      }
      const array = new ArrayRows(spec);
      const file = await this.#files.open(suffix);
      if (file.size === 0) await file.writeHead(array.header(0));
      this.#columns.push({ array, suffix, file });
    }
    this.#arrays = arrays;
  }

  async #copy(file: PartialFile): Promise<void> {
    const chunk = Buffer.alloc(Math.min(CHUNK, file.size));
    for (let done = 0; done < file.size; done += CHUNK) {
      const piece = chunk.subarray(0, Math.min(CHUNK, file.size - done));
      await file.readAt(piece, done);
      await this.#archive.write(piece);
    }
  }
}

function entryOf({ spec }: ArrayRows, size: number, crc: number): ZipEntry {
  return { name: memberName(spec), size, crc, offset: 0 };
}

/** As versions before had it: the first output too in a file of its own. */
function otherLayout(output: string): TandemError {
  return new TandemError(
    'TANDEM_JOURNAL_DAMAGED',
    `${output} cannot be gone on with: another version of tandem began it`,
    {
      remedy: 'start over with --force-new',
    },
  );
}

function memberName({ name }: ArraySpec): string {
  return `${name}.npy`;
}

/** Of a file whose head is `header`: the head is not in its mark, because it may change. */
function crcOf(header: Buffer, { mark: { bytes, head, crc } }: PartialFile): number {
  return joinedCrc(crc32(header), crc, bytes - head);
}
