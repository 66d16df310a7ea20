/**
 * Rows out as NPZ: each output grows as an NPY file of its own beside the archive, and all are moved into it at the end.
 * Where the disk fills up meanwhile, no row is lost: what is not in the archive is still in its own file.
 */
import { crc32 } from 'node:zlib';
import type { Tensor } from '../../tensor.js';
import type { OutputFiles } from '../output-files.js';
import type { PartialFile } from '../partial-file.js';
import type { RowsDone } from '../sink.js';
import { ArrayRows, type ArraySpec, arrayOf } from './array-rows.js';
import { noRows } from './npy-writer.js';
import { type Earlier, type RowsWriter, runsOf, type WriterState } from './rows-writer.js';
import { ZipWriter } from './zip-writer.js';

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
  /** Those that are not in the archive yet. */
  #columns: Column[] = [];
  #rows = 0;

  private constructor(files: OutputFiles, archive: PartialFile, zip: ZipWriter, keep: () => Promise<void>) {
    this.#files = files;
    this.#archive = archive;
    this.#zip = zip;
    this.#keep = keep;
  }

  /** `files` are where `earlier` says that they are. */
  static async open(
    files: OutputFiles,
    archive: PartialFile,
    keep: () => Promise<void>,
    earlier?: Earlier,
  ): Promise<NpzWriter> {
    const writer = new NpzWriter(files, archive, new ZipWriter(archive, earlier?.state.members), keep);
    await writer.#begin(earlier?.state.arrays ?? [], earlier?.state.members?.length ?? 0);
    writer.#rows = earlier?.rows ?? 0;
    return writer;
  }

  async write(batch: RowsDone): Promise<void> {
    if (this.#arrays.length === 0) await this.#begin([...batch.outputs].map(([name, tensor]) => arrayOf(name, tensor)));
    const runs = runsOf(batch);
    for (const { array, file } of this.#columns) {
      await array.write(batch.outputs.get(array.spec.name) as Tensor, batch.rows, runs, file);
    }
    this.#rows += batch.rows;
  }

  state(): WriterState {
    return { arrays: this.#arrays, members: this.#zip.entries };
  }

  async settle(): Promise<void> {
    for (const { array, file } of this.#columns) await file.writeHead(array.header(this.#rows));
  }

  async seal(): Promise<void> {
    if (this.#arrays.length === 0) throw noRows();
    await this.settle();
    while (this.#columns.length > 0) await this.#move(this.#columns[0]!);
    await this.#zip.end();
  }

  async dispose(): Promise<void> {
    for (const { file } of this.#columns) await file.close();
  }

  /** A column's file goes when its member stands, so that the disk never holds more than the archive and one column. */
  async #move({ array, suffix, file }: Column): Promise<void> {
    const { mark } = this.#archive;
    try {
      const crc = await this.#eachChunk(file, async () => {});
      await this.#zip.add(`${array.spec.name}.npy`, file.size, crc, async () => {
        await this.#eachChunk(file, (chunk) => this.#archive.write(chunk));
      });
    } catch (error) {
      await this.#archive.rewind(mark);
      if (mark.bytes > 0) await this.#zip.end();
      throw error;
    }
    await this.#keep();
    this.#columns.shift();
    await this.#files.remove(suffix);
  }

  /** `members` of the arrays are in the archive already. */
  async #begin(arrays: readonly ArraySpec[], members = 0): Promise<void> {
    for (const [n, spec] of arrays.entries()) {
      const suffix = `.${n}`;
      if (n < members) {
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

  /** Reads the whole of `file`; returns its checksum. */
  async #eachChunk(file: PartialFile, use: (chunk: Uint8Array) => Promise<void>): Promise<number> {
    let crc = 0;
    const chunk = Buffer.alloc(Math.min(CHUNK, file.size));
    for (let done = 0; done < file.size; done += CHUNK) {
      const piece = chunk.subarray(0, Math.min(CHUNK, file.size - done));
      await file.readAt(piece, done);
      crc = crc32(piece, crc);
      await use(piece);
    }
    return crc;
  }
}
