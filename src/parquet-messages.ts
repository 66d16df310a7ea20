/** The messages between a reader or writer of Parquet and its worker. Tables travel as Arrow IPC streams. */

export type ParquetRequest =
  | { readonly kind: 'open' }
  | {
      readonly kind: 'start';
      readonly groups: readonly number[];
      readonly columns: readonly string[] | null;
      /** Rows of each batch, at most. */
      readonly batchRows: number;
    }
  | { readonly kind: 'next' }
  | { readonly kind: 'write'; readonly rowGroupRows: number }
  | { readonly kind: 'batch'; readonly batch: Uint8Array }
  | { readonly kind: 'end' };

/** One for each request, and one for each piece that is written. */
export interface ParquetReply {
  /** Of an open file. */
  readonly schema?: Uint8Array;
  readonly groups?: readonly RowGroup[];
  /** The next rows; `null` at the end. */
  readonly batch?: Uint8Array | null;
  /** Bytes of the file that is written; no reply to a request. */
  readonly chunk?: Uint8Array;
  readonly error?: string;
}

export interface RowGroup {
  readonly rows: number;
  /** Decompressed. */
  readonly bytes: number;
  /** Of all columns: a few bytes of a file may stand for many equal ones. */
  readonly values: number;
}
