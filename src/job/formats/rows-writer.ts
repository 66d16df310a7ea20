/** What a format must do to lay finished rows into bytes, and where the bytes go. */
import { TandemError } from '../../errors.js';
import type { Tensor } from '../../tensor.js';
import type { RowsDone } from '../sink.js';
import type { ArraySpec } from './array-rows.js';
import type { ZipEntry } from './zip-writer.js';

export interface RowsWriter {
  /** Throws TANDEM_OUTPUT_UNSUPPORTED for tensors that the format has no place for, TANDEM_OUTPUT_FAILED. */
  write(batch: RowsDone): Promise<void>;
  /** What a later writer needs to go on where this one stands, besides the files. */
  state(): WriterState;
  /** Make the heads of the files tell the rows so far, so that a person can read what there is. */
  settle(): Promise<void>;
  /** Make the bytes so far a whole file: headers, tables of contents. Nothing is written after it. */
  seal(): Promise<void>;
  /** Close what only this writer has open; called last, sealed or not. */
  dispose(): Promise<void>;
}

/** Plain data; a format leaves out what it has not. */
export interface WriterState {
  /** The arrays that grow, in order. */
  readonly arrays?: readonly ArraySpec[];
  /** Members that an archive holds already, in order. */
  readonly members?: readonly ZipEntry[];
}

/** Where an earlier writer stopped. */
export interface Earlier {
  /** Rows that the files hold, failed ones included. */
  readonly rows: number;
  readonly state: WriterState;
}

/** Bytes in order; `write` settles when they may be overwritten by their owner. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<void>;
}

/** Rows [from, to) of a micro-batch, all good or all failed. */
export interface RowRun {
  readonly from: number;
  readonly to: number;
  readonly failed: boolean;
}

/** The micro-batch as runs of rows that share one fate, in order. */
export function runsOf({ firstRow, rows, failures }: RowsDone): RowRun[] {
  const failed = new Set(failures.map(({ index }) => index - firstRow));
  const runs: { from: number; to: number; failed: boolean }[] = [];
  for (let row = 0; row < rows; row++) {
    const last = runs.at(-1);
    if (last?.failed === failed.has(row)) last.to = row + 1;
    else runs.push({ from: row, to: row + 1, failed: failed.has(row) });
  }
  return runs;
}

/** Throws TANDEM_OUTPUT_UNSUPPORTED unless axis 0 of the tensor is the rows' axis. */
export function checkRowsAxis(name: string, tensor: Tensor, rows: number): void {
  if (tensor.shape[0] === rows) return;
  const shape = `[${tensor.shape.join(', ')}]`;
  throw new TandemError(
    'TANDEM_OUTPUT_UNSUPPORTED',
    `output "${name}" is ${shape} for ${rows} rows: it has no rows axis`,
    {
      remedy: 'only outputs with one entry a row can be written; leave this one out of the model',
    },
  );
}
