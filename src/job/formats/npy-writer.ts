/** Rows out as one NPY array. Into a file, the header gets the real count at the end; into a pipe it must be known at the start. */
import { TandemError } from '../../errors.js';
import type { PartialFile } from '../partial-file.js';
import type { RowsDone } from '../sink.js';
import { ArrayRows, arrayOf } from './array-rows.js';
import { type ByteWriter, type Earlier, type RowsWriter, runsOf, type WriterState } from './rows-writer.js';

export class NpyWriter implements RowsWriter {
  readonly #out: ByteWriter;
  /** Rows that the header promises from the start, for a pipe; else `null`. */
  readonly #promised: number | null;
  readonly #writeHead: (header: Buffer) => Promise<void>;
  #array: ArrayRows | null = null;
  #rows = 0;

  private constructor(out: ByteWriter, promised: number | null, writeHead: (header: Buffer) => Promise<void>) {
    this.#out = out;
    this.#promised = promised;
    this.#writeHead = writeHead;
  }

  /** `file` is where `earlier` says that it is. */
  static toFile(file: PartialFile, earlier?: Earlier): NpyWriter {
    const writer = new NpyWriter(file, null, (header) => file.writeHead(header));
    const [spec] = earlier?.state.arrays ?? [];
    if (earlier && spec) {
      writer.#array = new ArrayRows(spec);
      writer.#rows = earlier.rows;
    }
    return writer;
  }

  static toPipe(out: ByteWriter, rows: number): NpyWriter {
    return new NpyWriter(out, rows, (header) => out.write(header));
  }

  async write(batch: RowsDone): Promise<void> {
    const [[name, tensor], ...others] = [...batch.outputs] as [[string, Parameters<ArrayRows['write']>[0]]];
    if (others.length > 0) throw oneArrayOnly([...batch.outputs.keys()]);
    if (this.#array === null) {
      const array = new ArrayRows(arrayOf(name, tensor));
      await this.#writeHead(array.header(this.#promised ?? 0));
      this.#array = array;
    }
    await this.#array.write(tensor, batch.rows, runsOf(batch), this.#out);
    this.#rows += batch.rows;
  }

  state(): WriterState {
    return this.#array ? { arrays: [this.#array.spec] } : {};
  }

  async settle(): Promise<void> {
    if (this.#promised === null && this.#array) await this.#writeHead(this.#array.header(this.#rows));
  }

  async seal(): Promise<void> {
    if (this.#array === null) throw noRows();
    if (this.#promised !== null && this.#rows !== this.#promised) {
      throw new TandemError(
        'TANDEM_OUTPUT_FAILED',
        `the header promises ${this.#promised} rows, and ${this.#rows} came`,
        { remedy: 'write to a file, where the count is put in at the end' },
      );
    }
    await this.settle();
  }

  async dispose(): Promise<void> {}
}

/** The error for several outputs where there is place for one. */
export function oneArrayOnly(names: readonly string[]): TandemError {
  return new TandemError(
    'TANDEM_OUTPUT_UNSUPPORTED',
    `an NPY file holds one array, but the model has ${names.length} outputs: ${names.join(', ')}`,
    { remedy: 'name the output .npz or .jsonl' },
  );
}

/** The error for an array of which not even the shape was ever seen. */
export function noRows(): TandemError {
  return new TandemError('TANDEM_OUTPUT_FAILED', 'no rows came, so the shape of the output is not known', {
    remedy: 'give an input with at least one row',
  });
}
