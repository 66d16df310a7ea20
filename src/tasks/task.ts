/** The interface of a task: what lies before a model (records become rows of tensors, in workers of their own) and after it (rows of results). */
import type { RowsDone } from '../output/sink.js';
import type { Finish, RaggedRead, WindowParts } from '../rows/ragged-source.js';
import type { RowRecord } from '../rows/record-source.js';
import type { RowFaultCode } from '../rows/row-fault.js';
import type { RowId, Source } from '../rows/source.js';
import type { Tensor, TensorSpec } from '../tensor.js';

/** The name under which rows are counted that were longer than the limit, and cut. */
export const TEXTS_CUT = 'texts cut';
export const TOKENS_CUT = 'tokens cut';
/** Texts that were divided into parts. */
export const TEXTS_SPLIT = 'texts split';
/** Texts in which half of a pair of surrogates was replaced. */
export const HALF_CHARACTERS = 'texts with half characters';

/** Names what a rows worker loads, and with which options. Plain data: it crosses the thread boundary, and is part of the job's fingerprint. */
export interface PreparerSpec {
  /** A name in `src/tasks/preparers.ts`. */
  readonly name: string;
  /** Structured-cloneable. */
  readonly options: unknown;
  /** Records that one call of a worker prepares. A few dozen texts, one image. */
  readonly rowsAtOnce: number;
}

/** Makes rows of tensors of what was selected of records. Each rows worker opens its own. */
export interface Preparer<Selected = unknown> {
  /**
   * One row. Throws RowFault for a record that cannot be used, which costs that row alone. The tensors follow the task's specs, without the
   * rows' axis, and are copied before the next call; a large one that has a buffer of its own may be moved, and is not used again.
   */
  prepare(selected: Selected): PreparedRow | Promise<PreparedRow>;
}

export interface PreparedRow {
  /** One for each fed input of the model. */
  readonly tensors: readonly Tensor[];
  /** Counts that are printed at the end, added up over the job by name: `texts cut`, `tokens cut`. */
  readonly counts?: Readonly<Record<string, number>>;
  /** Further rows of the model that belong to the same record: parts of a long text, or several texts. */
  readonly more?: readonly (readonly Tensor[])[];
  /** Where a record has several texts, or parts: how many rows of the model each of its texts has. */
  readonly groups?: readonly number[];
}

/** A prepared record: its row, or why there is none. */
export type Prepared = PreparedRow | { readonly fault: { readonly code: RowFaultCode; readonly message: string } };

/** A task of one model: all that a job needs besides the model, the records and the output. */
export interface Task {
  /** `embed`, `classify`, … */
  readonly name: string;
  /** Of a record, what its preparer needs; called in this process, so it must be cheap. Throws RowFault. */
  readonly select: (record: RowRecord) => unknown;
  readonly preparer: PreparerSpec;
  /** As of `RaggedSource.specs`. */
  readonly specs: readonly TensorSpec[];
  /** As of `RaggedSource.padding`. */
  readonly padding: readonly number[] | null;
  /** The longest that a row may be, by the task's own rule; `null` without one. */
  readonly limit: number | null;
  /** As of `Source.check`. */
  readonly check?: Source['check'];
  /** What is kept of the model's outputs. */
  readonly finish: Finish;
  /** What is written for each record, of what was kept of its rows. */
  readonly settle: (parts: WindowParts) => RowsDone;
  /** Sentences about where each setting was read, for a person. */
  readonly origins: readonly string[];
}

/** A record of which rows of a model were made. */
export interface RecordRows {
  /** Position in the input. */
  readonly index: number;
  readonly id: RowId;
  readonly record: RowRecord;
  readonly batchLine: boolean;
  /** For each of its texts, the places of its rows among the good rows of the read. */
  readonly texts: readonly (readonly number[])[];
}

/** What a task's source reads: rows of the model, and the records that they belong to, in the order of the input. */
export interface TaskRead extends RaggedRead {
  readonly recordRows: readonly RecordRows[];
}
