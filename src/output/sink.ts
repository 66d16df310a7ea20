/** The interface of a sink: it takes finished micro-batches in input order and renames the file to its final name when it is complete. */

import type { Kept, Value } from '../rows/record.js';
import { goodRows, type RowFailure, type RowsRead } from '../rows/source.js';
import type { Tensor } from '../tensor.js';

/** A result that is no tensor, such as labels: one value for each good row. */
export interface ValueColumn {
  /** As of `Column`: `string`, `float32`, `list<string>`. The same for all rows of a job. */
  readonly type: string;
  readonly values: readonly Value[];
}

/** Finished consecutive rows. The tensors may be reused after `write` settles. */
export interface RowsDone extends RowsRead {
  /** Position of the first row in the input. */
  readonly firstRow: number;
  /** By public output name, each of shape (good rows, ...). */
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** What is kept of these rows of the input; absent if nothing is. */
  readonly kept?: Kept;
  /** Results that are no tensors, by name, written after `outputs`. */
  readonly columns?: ReadonlyMap<string, ValueColumn>;
  /** Of lines of an OpenAI batch file, counted from 0, the body of the answer as JSON text; without one the body has the outputs. */
  readonly answers?: ReadonlyMap<number, string>;
  /** Rows that the stages could not compute, in order. Unlike refused rows, they have rows in the outputs. */
  readonly failed: readonly RowFailure[];
  /** Outputs whose rows differ in shape: for each good row a tensor of its own, without the rows' axis. */
  readonly ragged?: ReadonlyMap<string, readonly Tensor[]>;
  /** Good rows with NaN or an infinity in their results. */
  readonly nonFiniteRows: number;
  /** Micro-batches that they were computed in; default one, or none where no row is good. */
  readonly microBatches?: number;
  /** The tensors are in memory of their own: the next rows may be computed while these are written. */
  readonly isOwn?: boolean;
}

/** Micro-batches that the rows were computed in. */
export function microBatchesOf(done: RowsDone): number {
  return done.microBatches ?? (goodRows(done) > 0 ? 1 : 0);
}

export interface Sink {
  /** Durable rows, which a later run of the same job does not compute again; `null` if the job cannot be resumed. */
  readonly kept: number | null;
  write(batch: RowsDone): Promise<void>;
  /** Flush, fsync and rename the file to its final name. */
  finish(): Promise<void>;
  /** Close without renaming. The rows written so far stay in `<output>.partial`; with a journal they can be resumed. */
  abandon(): Promise<void>;
}
