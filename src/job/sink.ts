/** Rows out: a sink takes finished micro-batches in input order and shows the final file only when it is whole. */
import type { Tensor } from '../tensor.js';
import type { RowFailure, RowId } from './source.js';

/** A finished micro-batch; tensors are lent until `write` settles. */
export interface RowsDone {
  /** Position of the first row in the input. */
  readonly firstRow: number;
  readonly rows: number;
  /** By public output name, each (rows, ...). */
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly failures: readonly RowFailure[];
  readonly ids: readonly RowId[] | null;
  /** Places of the rows that are lines of an OpenAI batch file. */
  readonly batchLines?: ReadonlySet<number>;
}

export interface Sink {
  /** Rows that a later run of the same job need not compute again, whatever happens now; `null` where none can go on. */
  readonly kept: number | null;
  write(batch: RowsDone): Promise<void>;
  /** Flush, fsync and show the file under its final name. */
  finish(): Promise<void>;
  /** Close without showing the final name. What was written so far stays beside it as `<output>.partial`; with a journal, all of it is kept. */
  abandon(): Promise<void>;
}
