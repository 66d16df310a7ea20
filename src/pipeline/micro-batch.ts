/** Micro-batches: rows that are computed together, as a feed fills them and a consumer reads them. */
import type { TandemError } from '../errors.js';
import { bytesOf, type Tensor } from '../tensor.js';

/** The answer of a feed that has skipped unusable rows and written none. */
export const NOTHING = 'nothing';

/** Settings of one micro-batch. */
export interface Traits {
  /** Rows at most; default those of the plan. With `rowShapes` they fit into the room that the pipeline is warmed up for. */
  readonly rows?: number | undefined;
  /** The shape of one row for each input that follows the rows, default that of the run. */
  readonly rowShapes?: readonly (readonly number[])[] | undefined;
  /** A stage that keeps state for its rows computes all micro-batches of a group, from 0, on the same worker. */
  readonly group?: number | undefined;
  /** How often it goes through all stages; default 1. */
  readonly rounds?: number | undefined;
}

/** Fills micro-batches, in order. */
export interface Feed {
  /** Traits of the micro-batch that the next `fill` writes; asked once before each. */
  traits?(): Traits | Promise<Traits>;
  /**
   * Writes the next rows into `into`: one tensor for each graph input that follows the rows, (rows of the micro-batch, ...) each, possibly in
   * shared memory. Resolves to the number of rows written; fewer than fit are allowed, 0 ends the stream. After NOTHING the run
   * yields a micro-batch without rows, which no stage has computed.
   */
  fill(into: readonly Tensor[]): Promise<number | typeof NOTHING>;
}

/** A micro-batch that has been through all stages. */
export interface MicroBatch {
  /** Position in the job, counting those that have rows. */
  readonly index: number;
  /** 0 if the feed has written none. */
  readonly rows: number;
  /** By tensor name, (rows, ...) each; views that are valid until the next micro-batch is requested or the pipeline is closed. */
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** By index of the row, why it could not be computed; its outputs are those of a row of zeros. */
  readonly failed: ReadonlyMap<number, TandemError>;
}

/** The first `rows` rows of a tensor whose axis 0 is the rows' axis; a view. */
export function firstRows(tensor: Tensor, rows: number): Tensor {
  const [capacity, ...rest] = tensor.shape;
  if (capacity === undefined || capacity === rows) return tensor;
  const perRow = rest.reduce((product, dim) => product * dim, 1);
  return { dtype: tensor.dtype, shape: [rows, ...rest], data: tensor.data.subarray(0, rows * perRow) };
}

/** Sets the rows from `rows` on to zero, so that padding never contains values of an earlier micro-batch. */
export function zeroRowsFrom({ data, shape }: Tensor, rows: number): void {
  bytesOf(data).fill(0, (data.byteLength / shape[0]!) * rows);
}
