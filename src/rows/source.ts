/** The interface of a source: it writes rows in input order into memory that the caller provides. */
import type { ErrorCode } from '../errors.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import type { Preparing } from './preparing.js';
import type { Value } from './record.js';

/** Identifies a row for the user: the `id` of its JSON line, or its position. */
export type RowId = string | number;

/** The value in the position of an id, which may be invalid. A failure repeats it so that the user can find the row. */
export type GivenId = RowId | boolean | null | object;

/** A row that could not be used: it was refused while it was read, or a stage failed on it. */
export interface RowFailure {
  /** Position in the input, from 0. */
  readonly index: number;
  readonly id: GivenId;
  readonly code: ErrorCode;
  readonly message: string;
  /** Whether the row is a line of an OpenAI batch file. Its answer then has that format. */
  readonly batchLine?: boolean;
}

/**
 * Consecutive rows of the input that one `read` took: as many as the capacity, fewer only at the end of the input, so micro-batches begin at
 * multiples of it whatever rows are refused, and a shard of the input has the micro-batches of the whole. Refused rows are not written: the
 * good rows are packed from position 0, so that stages compute good rows only.
 */
export interface RowsRead {
  /** Rows of the input, refused ones included; 0 at the end of the input. */
  readonly rows: number;
  /** The rows that were refused, in order. */
  readonly failures: readonly RowFailure[];
  /** One id per row if the format has ids, else `null` (then the position is the id). */
  readonly ids: readonly RowId[] | null;
  /** Which of these rows, counted from 0, are lines of an OpenAI batch file. */
  readonly batchLines?: ReadonlySet<number>;
}

/** Both kinds of failures in input order. */
export function inOrder(refused: readonly RowFailure[], failed: readonly RowFailure[]): readonly RowFailure[] {
  return failed.length === 0 ? refused : [...refused, ...failed].sort((a, b) => a.index - b.index);
}

/** Number of good rows that a `read` wrote. */
export function goodRows({ rows, failures }: Pick<RowsRead, 'rows' | 'failures'>): number {
  return rows - failures.length;
}

/** What is made of the outputs of rows, in memory of its own. */
export interface Finished {
  /** (rows, ...) each. */
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** Results that are no tensors, one value for each row; `type` as of `Column`. */
  readonly columns?: ReadonlyMap<string, { readonly type: string; readonly values: readonly Value[] }>;
}

/** One row of an output. */
export type RowOutput = Pick<Tensor, 'dtype' | 'shape'>;

export interface Source {
  /** Number of rows, or `null` if the format does not record it. */
  readonly rows: number | null;
  /** An estimate for planning if `rows` is `null`; absent or `null` if there is none, as for a pipe. */
  readonly rowsAbout?: number | null;
  /** One per model input, in the model's order: the model's dtype and the shape of ONE row (no rows' axis), with every dimension known. */
  readonly rowSpecs: readonly TensorSpec[];
  /**
   * Take the next `capacity` rows, and write the good ones into `into` (one tensor per input, each (capacity, ...rowShape), possibly shared
   * memory).
   * Throws coded errors if the file itself is damaged; a damaged row is a failure in the result.
   */
  read(into: readonly Tensor[]): Promise<RowsRead>;
  /** Throws a coded error where the model's outputs, by public name, are not what the job makes results of. Called before a row is read. */
  readonly check?: ((outputs: ReadonlyMap<string, RowOutput>) => void) | undefined;
  /** What prepares its rows in threads of its own, if something does. */
  readonly preparing?: Preparing | undefined;
  /** What is kept of the model's outputs, which are by public name, (rows, ...) each. Default: the outputs. */
  readonly finish?: ((outputs: ReadonlyMap<string, Tensor>, rows: number) => Finished) | undefined;
  close(): Promise<void>;
}
