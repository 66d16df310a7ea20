/** Writes rows as one NPY array. In a file the header is rewritten with the row count at the end; for a pipe the count must be known at the start. */
import { TandemError } from '../../errors.js';
import { arrayOf } from '../../rows/npy/array-spec.js';
import { goodRows } from '../../rows/source.js';
import type { PartialFile } from '../partial-file.js';
import { type ByteWriter, type Earlier, type RowsWriter, rowRangesOf, type WriterState } from '../rows-writer.js';
import type { RowsDone } from '../sink.js';
import { NpyRows } from './npy-rows.js';

export class NpyWriter implements RowsWriter {
  readonly #out: ByteWriter;
  /** For a pipe, the number of rows in the header; else `null`. */
  readonly #expected: number | null;
  readonly #writeHead: (header: Buffer) => Promise<void>;
  #array: NpyRows | null = null;
  #rows = 0;

  private constructor(out: ByteWriter, expected: number | null, writeHead: (header: Buffer) => Promise<void>) {
    this.#out = out;
    this.#expected = expected;
    this.#writeHead = writeHead;
  }

  /** `file` is in the state that `earlier` records. */
  static toFile(file: PartialFile, earlier?: Earlier): NpyWriter {
    const writer = new NpyWriter(file, null, (header) => file.writeHead(header));
    const [spec] = earlier?.state.arrays ?? [];
    if (earlier && spec) {
      writer.#array = new NpyRows(spec);
      writer.#rows = earlier.rows;
    }
    return writer;
  }

  static toPipe(out: ByteWriter, rows: number): NpyWriter {
    return new NpyWriter(out, rows, (header) => out.write(header));
  }

  async write(batch: RowsDone): Promise<void> {
    const [[name, tensor], ...others] = [...batch.outputs] as [[string, Parameters<NpyRows['write']>[0]]];
    if (others.length > 0) throw oneArrayOnly([...batch.outputs.keys()]);
    if (this.#array === null) {
      const array = new NpyRows(arrayOf(name, tensor));
      await this.#writeHead(array.header(this.#expected ?? 0));
      this.#array = array;
    }
    await this.#array.write(tensor, goodRows(batch), rowRangesOf(batch), this.#out);
    this.#rows += batch.rows;
  }

  state(): WriterState {
    return this.#array ? { arrays: [this.#array.spec] } : {};
  }

  async updateHeaders(): Promise<void> {
    if (this.#expected === null && this.#array) await this.#writeHead(this.#array.header(this.#rows));
  }

  async finish(): Promise<void> {
    if (this.#array === null) throw noRows();
    if (this.#expected !== null && this.#rows !== this.#expected) {
      throw new TandemError(
        'TANDEM_OUTPUT_FAILED',
        `the header has ${this.#expected} rows, but ${this.#rows} were written`,
        { remedy: 'write to a file, where the count is set at the end' },
      );
    }
    await this.updateHeaders();
  }

  async dispose(): Promise<void> {}
}

/** The error for several outputs in a format that holds one. */
export function oneArrayOnly(names: readonly string[]): TandemError {
  return new TandemError(
    'TANDEM_OUTPUT_UNSUPPORTED',
    `an NPY file holds one array, but the model has ${names.length} outputs: ${names.join(', ')}`,
    { remedy: 'name the output .npz or .jsonl' },
  );
}

/** The error for an array without rows, whose shape is unknown. */
export function noRows(): TandemError {
  return new TandemError('TANDEM_OUTPUT_FAILED', 'there were no rows, so the shape of the output is not known', {
    remedy: 'give an input with at least one row',
  });
}
