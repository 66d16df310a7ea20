/** Rows in from arrays side by side, one for each model input: NPY files, or the members of an NPZ. */
import { TandemError } from '../../errors.js';
import type { Tensor, TensorSpec } from '../../tensor.js';
import type { RowFailure, RowsRead, Source } from '../source.js';
import type { NpyColumn } from './npy-column.js';
import type { RowFault } from './row-fault.js';

export interface ColumnsOptions {
  /** In the order of the model's inputs, each at its first row. */
  readonly columns: readonly NpyColumn[];
  /** Position of the first row to read. */
  readonly firstRow: number;
  /** Called once, after the columns are closed. */
  readonly release: () => Promise<void>;
}

export class ColumnsSource implements Source {
  readonly rows: number;
  readonly rowSpecs: readonly TensorSpec[];
  readonly #columns: readonly NpyColumn[];
  readonly #release: () => Promise<void>;
  #next: number;
  #closed = false;

  private constructor({ columns, firstRow, release }: ColumnsOptions) {
    this.rows = columns[0]!.rows;
    this.rowSpecs = columns.map(({ rowSpec }) => rowSpec);
    this.#columns = columns;
    this.#release = release;
    this.#next = firstRow;
  }

  /** Throws TANDEM_INPUT_INVALID where the arrays differ in rows. */
  static async open(options: ColumnsOptions): Promise<ColumnsSource> {
    const { columns, firstRow } = options;
    checkRowsAgree(columns);
    const skipped = Math.min(firstRow, columns[0]!.rows);
    for (const column of columns) if (skipped > 0) await column.skip(skipped);
    return new ColumnsSource({ ...options, firstRow: skipped });
  }

  async read(into: readonly Tensor[]): Promise<RowsRead> {
    const rows = Math.min(into[0]!.shape[0]!, this.rows - this.#next);
    if (rows === 0) return { rows: 0, failures: [], ids: null };
    const faults = new Map<number, RowFault>();
    for (const [n, column] of this.#columns.entries()) await column.read(into[n]!, rows, faults);
    const failures = this.#failuresOf(faults, into);
    this.#next += rows;
    if (this.#next === this.rows) for (const column of this.#columns) await column.end();
    return { rows, failures, ids: null };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const column of this.#columns) await column.close();
    await this.#release();
  }

  #failuresOf(faults: ReadonlyMap<number, RowFault>, into: readonly Tensor[]): RowFailure[] {
    const places = [...faults.keys()].sort((a, b) => a - b);
    for (const place of places) for (const tensor of into) clearRow(tensor, place);
    return places.map((place) => faults.get(place)!.at(this.#next + place, this.#next + place));
  }
}

/** Zeros in the place of a row that is not usable. */
export function clearRow({ data, shape }: Tensor, place: number): void {
  const elements = data.length / shape[0]!;
  const row = data.subarray(place * elements, (place + 1) * elements);
  if (row instanceof BigInt64Array || row instanceof BigUint64Array) row.fill(0n);
  else row.fill(0);
}

function checkRowsAgree(columns: readonly NpyColumn[]): void {
  if (columns.every(({ rows }) => rows === columns[0]!.rows)) return;
  const counts = columns.map(({ rowSpec, rows }) => `${rowSpec.name} ${rows}`).join(', ');
  throw new TandemError('TANDEM_INPUT_INVALID', `the inputs differ in rows: ${counts}`, {
    remedy: 'give every input the same number of rows, in the same order',
  });
}
