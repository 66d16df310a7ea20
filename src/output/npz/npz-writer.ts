/**
 * Writes rows as NPZ. The first output grows in the archive itself; each other output grows in a separate NPY file and is moved into the
 * archive at the end. If the disk fills up meanwhile, no row is lost: an output that is not in the archive is still in its file.
 */
import { crc32 } from '../../crc32.js';
import { TandemError } from '../../errors.js';
import { type ArraySpec, arrayOf } from '../../rows/npy/array-spec.js';
import { goodRows } from '../../rows/source.js';
import type { Tensor } from '../../tensor.js';
import type { OutputFiles } from '../files.js';
import { NpyRows } from '../npy/npy-rows.js';
import { noRows } from '../npy/npy-writer.js';
import type { PartialFile } from '../partial-file.js';
import { type Earlier, type RowsWriter, rowRangesOf, type WriterState } from '../rows-writer.js';
import type { RowsDone } from '../sink.js';
import { joinedCrc } from './joined-crc.js';
import { type ZipEntry, ZipWriter } from './zip-writer.js';

/** Bytes per read when a file is copied into the archive. */
const CHUNK = 1 << 20;

interface Column {
  readonly array: NpyRows;
  readonly suffix: string;
  readonly file: PartialFile;
}

export class NpzWriter implements RowsWriter {
  readonly #files: OutputFiles;
  readonly #archive: PartialFile;
  readonly #zip: ZipWriter;
  /** Called after a member is written and before its column file is removed. Settles when the member is durable. */
  readonly #keep: () => Promise<void>;
  #arrays: readonly ArraySpec[] = [];
  /** The array that grows in the archive, after two headers that are rewritten at the end; `null` before the first row. */
  #first: NpyRows | null = null;
  /** The other outputs that are not yet in the archive. */
  #columns: Column[] = [];
  #rows = 0;

  private constructor(files: OutputFiles, archive: PartialFile, zip: ZipWriter, keep: () => Promise<void>) {
    this.#files = files;
    this.#archive = archive;
    this.#zip = zip;
    this.#keep = keep;
  }

  /** `files` are in the state that `earlier` records. Throws TANDEM_JOURNAL_DAMAGED if its rows are not in the archive. */
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
    const ranges = rowRangesOf(batch);
    for (const { array, file } of [{ array: this.#first!, file: this.#archive }, ...this.#columns]) {
      await array.write(batch.outputs.get(array.spec.name) as Tensor, goodRows(batch), ranges, file);
    }
    this.#rows += batch.rows;
  }

  state(): WriterState {
    return { arrays: this.#arrays, members: this.#zip.entries };
  }

  /** Makes the archive complete with its first member; the others are still in separate files. */
  async updateHeaders(): Promise<void> {
    const entry = await this.#writeHeads();
    // It only lets a person read the archive before the job resumes. A full disk has no room for it.
    if (entry) await this.#archive.writeTail(this.#zip.tableOf([entry])).catch(() => {});
  }

  async finish(): Promise<void> {
    if (this.#first === null) throw noRows();
    const entry = await this.#writeHeads();
    if (entry) this.#zip.addWritten(entry);
    while (this.#columns.length > 0) await this.#move(this.#columns[0]!);
    await this.#zip.end();
  }

  async dispose(): Promise<void> {
    for (const { file } of this.#columns) await file.close();
  }

  /** Rewrites all headers with the current row count. Returns the member that grows in the archive, if no other member follows it. */
  async #writeHeads(): Promise<ZipEntry | null> {
    for (const { array, file } of this.#columns) await file.writeHead(array.header(this.#rows));
    if (this.#first === null || this.#zip.entries.length > 0) return null;
    const header = this.#first.header(this.#rows);
    const { bytes, head } = this.#archive.mark;
    const entry = entryOf(this.#first, header.length + bytes - head, crcOf(header, this.#archive));
    await this.#archive.writeHead(Buffer.concat([this.#zip.headerOf(entry), header]));
    return entry;
  }

  /** Removes a column's file as soon as its member is written, so that at most one column is on the disk twice. */
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

  /** `members` is the number of arrays that are already in the archive. */
  async #begin(arrays: readonly ArraySpec[], members = 0): Promise<void> {
    const [first, ...others] = arrays;
    if (first) {
      const array = new NpyRows(first);
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
      const array = new NpyRows(spec);
      const file = await this.#files.open(suffix);
      if (file.size === 0) await file.writeHead(array.header(0));
      this.#columns.push({ array, suffix, file });
    }
    this.#arrays = arrays;
  }

  async #copy(file: PartialFile): Promise<void> {
    const chunk = Buffer.alloc(Math.min(CHUNK, file.size));
    for (let done = 0; done < file.size; done += CHUNK) {
      const part = chunk.subarray(0, Math.min(CHUNK, file.size - done));
      await file.readAt(part, done);
      await this.#archive.write(part);
    }
  }
}

function entryOf({ spec }: NpyRows, size: number, crc: number): ZipEntry {
  return { name: memberName(spec), size, crc, offset: 0 };
}

/** The error for the layout of earlier versions, where the first output had a separate file too. */
function otherLayout(output: string): TandemError {
  return new TandemError(
    'TANDEM_JOURNAL_DAMAGED',
    `${output} cannot be resumed: another version of tandem started it`,
    {
      remedy: 'start over with --force-new',
    },
  );
}

function memberName({ name }: ArraySpec): string {
  return `${name}.npy`;
}

/** The checksum of a file with the head `header`. A mark does not cover the head, because it may change. */
function crcOf(header: Buffer, { mark: { bytes, head, crc } }: PartialFile): number {
  return joinedCrc(crc32(header), crc, bytes - head);
}
