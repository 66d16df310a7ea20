/**
 * Rows out as NPZ: each output grows as an NPY file of its own beside the archive, and all are moved into it at the end.
 * Where the disk fills up meanwhile, no row is lost: what is not in the archive is still in its own file.
 */
import { crc32 } from 'node:zlib';
import type { Tensor } from '../../tensor.js';
import { PartialFile } from '../partial-file.js';
import type { RowsDone } from '../sink.js';
import { ArrayRows } from './array-rows.js';
import { noRows } from './npy-writer.js';
import { type RowsWriter, runsOf } from './rows-writer.js';
import { ZipWriter } from './zip-writer.js';

/** Bytes that are copied into the archive at once. */
const CHUNK = 1 << 20;

interface Column {
  readonly array: ArrayRows;
  readonly file: PartialFile;
}

export class NpzWriter implements RowsWriter {
  readonly #archive: PartialFile;
  readonly #columns = new Map<string, Column>();

  constructor(archive: PartialFile) {
    this.#archive = archive;
  }

  async write(batch: RowsDone): Promise<void> {
    if (this.#columns.size === 0) await this.#begin(batch.outputs);
    const runs = runsOf(batch);
    for (const [name, { array, file }] of this.#columns) {
      await array.write(batch.outputs.get(name)!, batch.rows, runs, file);
    }
  }

  async seal(): Promise<void> {
    if (this.#columns.size === 0) throw noRows();
    // A write that failed may have left more rows, or a part of one, in some of them.
    const rows = Math.min(...[...this.#columns.values()].map(({ array }) => array.rows));
    for (const { array, file } of this.#columns.values()) {
      const header = array.header(rows);
      await file.writeAt(header, 0);
      await file.truncate(header.length + array.bytesFor(rows));
    }
    await this.#assemble(new ZipWriter(this.#archive));
  }

  async dispose(): Promise<void> {
    for (const { file } of this.#columns.values()) await file.close();
  }

  /** A column's file goes when its member stands, so that the disk never holds more than the archive and one column. */
  async #assemble(zip: ZipWriter): Promise<void> {
    for (const { array, file } of this.#columns.values()) {
      const start = this.#archive.size;
      try {
        await zip.add(`${array.name}.npy`, file.size, () => this.#copy(file));
      } catch (error) {
        await this.#archive.truncate(start);
        if (start > 0) await zip.end();
        throw error;
      }
      await file.remove();
    }
    await zip.end();
  }

  async #begin(outputs: ReadonlyMap<string, Tensor>): Promise<void> {
    const arrays = [...outputs].map(([name, tensor]) => new ArrayRows(name, tensor));
    const { path } = this.#archive;
    for (const [n, array] of arrays.entries()) {
      const file = await PartialFile.create(`${path}.${n}`, path);
      await file.write(array.header(0));
      this.#columns.set(array.name, { array, file });
    }
  }

  /** The whole of `file` into the archive; returns its checksum. */
  async #copy(file: PartialFile): Promise<number> {
    let crc = 0;
    const chunk = Buffer.alloc(Math.min(CHUNK, file.size));
    for (let done = 0; done < file.size; done += CHUNK) {
      const piece = chunk.subarray(0, Math.min(CHUNK, file.size - done));
      await file.readAt(piece, done);
      await this.#archive.write(piece);
      crc = crc32(piece, crc);
    }
    return crc;
  }
}
