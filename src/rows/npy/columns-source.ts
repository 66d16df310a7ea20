/** A source that reads one array for each model input: NPY files or members of an NPZ archive. */
import { TandemError } from '../../errors.js';
import type { Tensor, TensorSpec } from '../../tensor.js';
import type { RowFault } from '../row-fault.js';
import type { RowFailure, RowsRead, Source } from '../source.js';
import type { NpyColumn } from './npy-column.js';

export interface ColumnsOptions {
  /** In the order of the model's inputs, each positioned at its first row. */
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

  /** Throws TANDEM_INPUT_INVALID if the arrays have different numbers of rows. */
  static async open(options: ColumnsOptions): Promise<ColumnsSource> {
    const { columns, firstRow } = options;
    checkRowsAgree(columns);
    const skipped = Math.min(firstRow, columns[0]!.rows);
    for (const column of columns) if (skipped > 0) await column.skip(skipped);
    return new ColumnsSource({ ...options, firstRow: skipped });
  }

  async read(into: readonly Tensor[]): Promise<RowsRead> {
    const first = this.#next;
    const failures = first < this.rows ? await this.#fill(into) : [];
    if (first < this.rows && this.#next === this.rows) for (const column of this.#columns) await column.end();
    return { rows: this.#next - first, failures, ids: null };
  }

  /** Fills `into` with rows and packs the good rows at the front. Returns the failures. */
  async #fill(into: readonly Tensor[]): Promise<RowFailure[]> {
    const rows = Math.min(into[0]!.shape[0]!, this.rows - this.#next);
    const faults = new Map<number, RowFault>();
    for (const [n, column] of this.#columns.entries()) await column.read(into[n]!, rows, faults);
    const faulty = [...faults.keys()].sort((a, b) => a - b);
    for (const tensor of into) removeRows(tensor, rows, faulty);
    const failures = faulty.map((n) => faults.get(n)!.at(this.#next + n, this.#next + n));
    this.#next += rows;
    return failures;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const column of this.#columns) await column.close();
    await this.#release();
  }
}

/** Removes the rows at the ascending indexes `faulty` from the first `rows` rows of `tensor`, in place. */
function removeRows({ data, shape }: Tensor, rows: number, faulty: readonly number[]): void {
  const elements = data.length / shape[0]!;
  for (const [n, index] of faulty.entries()) {
    const [from, to] = [index + 1, faulty[n + 1] ?? rows];
    data.copyWithin((index - n) * elements, from * elements, to * elements);
  }
}

function checkRowsAgree(columns: readonly NpyColumn[]): void {
  if (columns.every(({ rows }) => rows === columns[0]!.rows)) return;
  const counts = columns.map(({ rowSpec, rows }) => `${rowSpec.name} ${rows}`).join(', ');
  throw new TandemError('TANDEM_INPUT_INVALID', `the inputs have different numbers of rows: ${counts}`, {
    remedy: 'give every input the same number of rows, in the same order',
  });
}
