/** Micro-batches: rows that travel together, as the two ends of the pipeline see them. */
import type { TandemError } from '../errors.js';
import { bytesOf, type Tensor, type TypedArray } from '../tensor.js';

/** Fills micro-batches, in order. */
export interface Feed {
  /**
   * Write the next rows into `into`: one tensor per graph input, each (rows of the micro-batch, ...), in shared memory.
   * Resolves to the rows written; fewer than there is room for is allowed, 0 ends the stream.
   */
  fill(into: readonly Tensor[]): Promise<number>;
}

/** A micro-batch that has been through all stages. */
export interface MicroBatch {
  /** Position in the job. */
  readonly index: number;
  readonly rows: number;
  /** By tensor name, each (rows, ...); views that are lent until the next micro-batch is asked for or the pipeline is closed. */
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** Why rows could not be computed, by their place; there the outputs are those of a row of zeros. */
  readonly failed: ReadonlyMap<number, TandemError>;
}

/** The first `rows` rows of a tensor whose axis 0 is the rows' axis; a view. */
export function firstRows(tensor: Tensor, rows: number): Tensor {
  const [capacity, ...rest] = tensor.shape;
  if (capacity === undefined || capacity === rows) return tensor;
  const perRow = rest.reduce((product, dim) => product * dim, 1);
  return { dtype: tensor.dtype, shape: [rows, ...rest], data: tensor.data.subarray(0, rows * perRow) };
}

/** Zeros in the places from `rows` on, so that a padded place never holds an earlier micro-batch's values. */
export function zeroRowsFrom({ data, shape }: Tensor, rows: number): void {
  bytesOf(data).fill(0, (data.byteLength / shape[0]!) * rows);
}

/** `values` in the rows `kept`, and zeros in all others. */
export function keepRows({ data, shape }: Tensor, values: TypedArray, kept: readonly number[]): void {
  const bytes = bytesOf(data);
  const source = bytesOf(values);
  const perRow = data.byteLength / shape[0]!;
  bytes.fill(0);
  for (const row of kept) bytes.set(source.subarray(row * perRow, (row + 1) * perRow), row * perRow);
}
