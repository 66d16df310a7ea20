/** The interface of a ragged source: rows whose open axes differ in size from row to row, each as tensors of its own. */
import type { TandemError } from '../errors.js';
import type { Tensor, TensorSpec } from '../tensor.js';
import type { Preparing } from './preparing.js';
import type { RowsRead } from './source.js';

/** One good row. */
export interface RaggedRow {
  /** Position in the input, from 0. */
  readonly index: number;
  /** One for each fed input, in the order of `RaggedSource.specs`: the shape of ONE row, without the rows' axis. In private memory, and kept by nobody else. */
  readonly tensors: readonly Tensor[];
}

/** Consecutive rows of the input that one `read` took: `rows` of them, refused ones included; 0 at the end of the input. */
export interface RaggedRead extends RowsRead {
  /** Those that were not refused, in order. */
  readonly good: readonly RaggedRow[];
}

/** How long the rows of this input are. The length of a row is the size of its longest ragged axis. */
export interface LengthSurvey {
  /** Good rows by their length. */
  readonly lengths: ReadonlyMap<number, number>;
  /** Whether all rows of the input were read; else these are a sample from its beginning. */
  readonly isWhole: boolean;
  /** One for each fed input: the largest size of each axis among these rows, or that the source lets any row have. */
  readonly largest: readonly (readonly number[])[];
  /** The longest that the source lets any row be, where it has a limit; else `null`, and a later row of a sample may be longer than all in it. */
  readonly limit: number | null;
  /** Rows that are longer than the limit and were cut to it. */
  readonly cut: number;
}

export interface RaggedSource {
  /** Number of rows, or `null` if the format does not record it. */
  readonly rows: number | null;
  /** One for each fed input, in the model's order: the model's dtype and the shape of ONE row; a `null` dimension is ragged. */
  readonly specs: readonly TensorSpec[];
  /**
   * The value that fills each input up to the length of its micro-batch, by `specs`; `null` if rows of different lengths must not be computed
   * together, since the model cannot distinguish padding from values. Then only rows of the same shape share a micro-batch. With padding, all ragged
   * axes of a row are equally long.
   */
  readonly padding: readonly number[] | null;
  /** What prepares its rows in threads of its own, if something does. */
  readonly preparing?: Preparing | undefined;
  /** The lengths of this input. It does not move the place where `read` reads. */
  survey(): Promise<LengthSurvey>;
  /**
   * The next rows of the input, in order: as many as asked for, fewer only at the end of the input.
   * Throws coded errors if the file itself is damaged; a damaged row is a failure in the result.
   */
  read(rows: number): Promise<RaggedRead>;
  close(): Promise<void>;
}

/** An output of several rows: one tensor (rows, ...), or a tensor for each row, of the shape of ONE row, where rows differ in shape. */
export type RowsOutput = Tensor | readonly Tensor[];

/**
 * Makes of a micro-batch's outputs what is kept of them, before the next micro-batch is looked at. `outputs` are by public name, (rows, ...)
 * each, still with padding, and only lent; `rows` are the rows in the same order, without padding. A tensor of several rows may be lent too;
 * tensors of single rows are in memory of their own. It must give each row the same bytes whatever other rows are in the window.
 */
export type Finish = (
  outputs: ReadonlyMap<string, Tensor>,
  rows: readonly RaggedRow[],
) => ReadonlyMap<string, RowsOutput>;

/** What the rows of a window gave, before it is known which rows of the input they are. */
export interface WindowParts {
  /** Position of the first row in the input. */
  readonly firstRow: number;
  readonly read: RaggedRead;
  /** (good rows, ...) each, in memory of its own. */
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** Those that the stages could not compute, by place among the good rows. */
  readonly failed: ReadonlyMap<number, TandemError>;
}
