/** Rows out as NPZ: each output grows in a file of its own beside the archive, and all are put into it at the end. */
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
    const zip = new ZipWriter(this.#archive);
    for (const { array, file } of this.#columns.values()) {
      const header = array.header(array.rows);
      await zip.add(`${array.name}.npy`, header.length + array.bytes, () => this.#copy(header, file, array.bytes));
      // Its space is free for the next one: at the end the disk holds the archive and one column.
      await file.remove();
    }
    await zip.end();
  }

  async dispose(): Promise<void> {
    for (const { file } of this.#columns.values()) await file.remove();
  }

  async #begin(outputs: ReadonlyMap<string, Tensor>): Promise<void> {
    const arrays = [...outputs].map(([name, tensor]) => new ArrayRows(name, tensor));
    const { path } = this.#archive;
    for (const [n, array] of arrays.entries()) {
      this.#columns.set(array.name, { array, file: await PartialFile.create(`${path}.${n}`, path) });
    }
  }

  /** Header and `bytes` of rows into the archive (a write that failed may have left more); returns their checksum. */
  async #copy(header: Buffer, rows: PartialFile, bytes: number): Promise<number> {
    await this.#archive.write(header);
    let crc = crc32(header);
    const chunk = Buffer.alloc(Math.min(CHUNK, bytes));
    for (let done = 0; done < bytes; done += CHUNK) {
      const piece = chunk.subarray(0, Math.min(CHUNK, bytes - done));
      await rows.readAt(piece, done);
      await this.#archive.write(piece);
      crc = crc32(piece, crc);
    }
    return crc;
  }
}
