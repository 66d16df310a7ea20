/** Records: the values of a row by column, of any kind. */

/** One value of a record. 64-bit integers are bigints where a number would lose digits. */
export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Uint8Array
  | NumericArray
  | readonly Value[]
  | { readonly [key: string]: Value };

type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** The values of one row by column. */
export type RowRecord = Readonly<Record<string, Value>>;

/** A column of a table, with its type as a person would name it: `string`, `int64`, `list<float32>`. */
export interface Column {
  readonly name: string;
  readonly type: string;
}

/** The columns of the input that are written beside the results. */
export interface Kept {
  /** `null` if each row has columns of its own, as JSON lines that are kept whole. */
  readonly columns: readonly Column[] | null;
  /** One for each row, with these columns; `null` for a row that could not be read. */
  readonly records: readonly (RowRecord | null)[];
}
