/** The interface of a format's writer, which turns finished rows into bytes. */
import { TandemError } from '../errors.js';
import type { ArraySpec } from '../rows/npy/array-spec.js';
import type { Tensor } from '../tensor.js';
import type { ZipEntry } from './npz/zip-writer.js';
import type { RowsDone } from './sink.js';

export interface RowsWriter {
  /** Throws TANDEM_OUTPUT_UNSUPPORTED for tensors that the format cannot hold, TANDEM_OUTPUT_FAILED. */
  write(batch: RowsDone): Promise<void>;
  /** What a later writer needs to continue from here, besides the files. */
  state(): WriterState;
  /** Write the current row count to the file headers, so that a person can read the partial files. */
  updateHeaders(): Promise<void>;
  /** Complete the file: headers, directories. Nothing is written after it. */
  finish(): Promise<void>;
  /** Close the files that only this writer has open; called last, finished or not. */
  dispose(): Promise<void>;
}

/** Plain data; each format sets only its own fields. */
export interface WriterState {
  /** The arrays of the outputs, in order. */
  readonly arrays?: readonly ArraySpec[];
  /** Members that are already in the archive, in order. */
  readonly members?: readonly ZipEntry[];
  /** How many of the arrays are whole and in the output; 0 if absent. */
  readonly moved?: number;
  /** The columns of a table. */
  readonly names?: readonly string[];
  /** Whether the output is made of the rows beside it. */
  readonly isWhole?: boolean;
}

/** The state of an earlier writer. */
export interface Earlier {
  /** Rows that the files hold, failed ones included. */
  readonly rows: number;
  readonly state: WriterState;
}

/** Writes bytes in order; the caller may reuse `bytes` after `write` settles. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<void>;
}

/** Rows [from, to) of the batch, which are all good or all failed. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
  /** Index of the first row in the outputs; `null` for failed rows. */
  readonly outputRow: number | null;
}

/** The batch as ranges of rows that are all good or all failed, in order. */
export function rowRangesOf({ firstRow, rows, failures, failed }: RowsDone): RowRange[] {
  if (failures.length === 0 && failed.length === 0) return [{ from: 0, to: rows, outputRow: 0 }];
  const refused = new Set(failures.map(({ index }) => index - firstRow));
  const broken = new Set(failed.map(({ index }) => index - firstRow));
  const ranges: { from: number; to: number; outputRow: number | null }[] = [];
  for (let row = 0, outputRow = 0; row < rows; row++) {
    const isGood = !refused.has(row) && !broken.has(row);
    const last = ranges.at(-1);
    if (last && (last.outputRow !== null) === isGood) last.to = row + 1;
    else ranges.push({ from: row, to: row + 1, outputRow: isGood ? outputRow : null });
    if (!refused.has(row)) outputRow += 1;
  }
  return ranges;
}

/** Throws TANDEM_OUTPUT_UNSUPPORTED unless axis 0 of the tensor is the rows' axis. */
export function checkRowsAxis(name: string, tensor: Tensor, rows: number): void {
  if (tensor.shape[0] === rows) return;
  const shape = `[${tensor.shape.join(', ')}]`;
  throw new TandemError(
    'TANDEM_OUTPUT_UNSUPPORTED',
    `output "${name}" is ${shape} for ${rows} rows: it has no rows axis`,
    {
      remedy: 'only outputs with one entry per row can be written; remove this output from the model',
    },
  );
}
