/** Rows out as one NPY array. Into a file, the header gets the real count at the end; into a pipe it must be known at the start. */
import { TandemError } from '../../errors.js';
import type { PartialFile } from '../partial-file.js';
import type { RowsDone } from '../sink.js';
import { ArrayRows } from './array-rows.js';
import { type ByteWriter, type RowsWriter, runsOf } from './rows-writer.js';

export class NpyWriter implements RowsWriter {
  readonly #out: ByteWriter;
  /** Rows that the header promises from the start, for a pipe; else `null`. */
  readonly #promised: number | null;
  readonly #patch: ((header: Buffer) => Promise<void>) | null;
  #array: ArrayRows | null = null;

  private constructor(out: ByteWriter, promised: number | null, patch: ((header: Buffer) => Promise<void>) | null) {
    this.#out = out;
    this.#promised = promised;
    this.#patch = patch;
  }

  static toFile(file: PartialFile): NpyWriter {
    return new NpyWriter(file, null, (header) => file.writeAt(header, 0));
  }

  static toPipe(out: ByteWriter, rows: number): NpyWriter {
    return new NpyWriter(out, rows, null);
  }

  async write(batch: RowsDone): Promise<void> {
    const [[name, tensor], ...others] = [...batch.outputs] as [[string, Parameters<ArrayRows['write']>[0]]];
    if (others.length > 0) throw oneArrayOnly([...batch.outputs.keys()]);
    if (this.#array === null) {
      this.#array = new ArrayRows(name, tensor);
      await this.#out.write(this.#array.header(this.#promised ?? 0));
    }
    await this.#array.write(tensor, batch.rows, runsOf(batch), this.#out);
  }

  async seal(): Promise<void> {
    if (this.#array === null) throw noRows();
    const { rows } = this.#array;
    if (this.#promised !== null && rows !== this.#promised) {
      throw new TandemError('TANDEM_OUTPUT_FAILED', `the header promises ${this.#promised} rows, and ${rows} came`, {
        remedy: 'write to a file, where the count is put in at the end',
      });
    }
    await this.#patch?.(this.#array.header(rows));
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
