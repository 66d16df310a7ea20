/** Rows in: whatever the format, a source writes rows straight into memory that it is given, in input order. */
import type { ErrorCode } from '../errors.js';
import type { Tensor, TensorSpec } from '../tensor.js';

/** What identifies a row to its owner: the `id` of its JSON line, or its position. */
export type RowId = string | number;

/** A row that could not be used. Its place in the micro-batch is zeros, so that no other row moves. */
export interface RowFailure {
  /** Position in the input, from 0. */
  readonly index: number;
  readonly id: RowId;
  readonly code: ErrorCode;
  readonly message: string;
  /** Whether the row is a line of an OpenAI batch file, and is answered as one. */
  readonly batchLine?: boolean;
}

/** Rows taken by one `read`. */
export interface RowsRead {
  /** Places filled from the first on, failed rows included; 0 says that the input has ended. */
  readonly rows: number;
  readonly failures: readonly RowFailure[];
  /** Ids of the rows where the format has them, else `null` (then the position is the id). */
  readonly ids: readonly RowId[] | null;
  /** Places of the rows that are lines of an OpenAI batch file. */
  readonly batchLines?: ReadonlySet<number>;
}

export interface Source {
  /** Rows in all, where the format tells before reading. */
  readonly rows: number | null;
  /** One per model input, in its order: dtype of the model, shape of ONE row (no rows axis), every dimension known. */
  readonly rowSpecs: readonly TensorSpec[];
  /**
   * Write the next rows into `into` (one tensor per input, each (capacity, ...rowShape), possibly shared memory).
   * Throws coded errors for damage of the file itself; damage of a row is a failure in the result.
   */
  read(into: readonly Tensor[]): Promise<RowsRead>;
  close(): Promise<void>;
}
