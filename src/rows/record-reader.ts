/** The interface of a format's reader of records: one file, its rows in order. */
import type { Column, RowRecord } from './record.js';
import type { RowFailure, RowId } from './source.js';

/** A row that could be read. */
export interface GoodRecord {
  readonly index: number;
  readonly id: RowId;
  readonly record: RowRecord;
  /** Whether it is a line of an OpenAI batch file. */
  readonly batchLine: boolean;
}

export type ReadRecord = GoodRecord | RowFailure;

export interface RecordReader {
  /** Rows of the whole file, or `null` if the format does not record it. */
  readonly rows: number | null;
  /** `null` where each row has columns of its own. */
  readonly columns: readonly Column[] | null;
  /** At most `most` next rows, the first of which has the position `index` in the whole input. Empty at the end. */
  next(most: number, index: number): Promise<readonly ReadRecord[]>;
  /** Passes over at most `rows` rows. Returns how many there were. */
  skip(rows: number): Promise<number>;
  close(): Promise<void>;
}

/** How a reader reads. */
export interface ReadOptions {
  /** Longest row in bytes; a longer row is a failed row. */
  readonly maxRowBytes: number;
  /** Only these columns; default all. */
  readonly columns?: readonly string[] | undefined;
  /** The byte at which it begins, of JSON lines. */
  readonly from?: number | undefined;
}

export function isFailedRecord(read: ReadRecord): read is RowFailure {
  return 'code' in read;
}
