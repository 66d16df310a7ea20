/** The formats that results are written in. */
export const OUTPUT_FORMATS = ['jsonl', 'csv', 'tsv', 'parquet', 'arrow', 'npy', 'npz', 'safetensors'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** The names of the row formats. */
export const FORMATS = [...OUTPUT_FORMATS, 'images', 'wav'] as const;
export type Format = (typeof FORMATS)[number];

/** Formats of tables and objects, which hold values of any kind by column name. */
const RECORD_FORMATS: ReadonlySet<Format> = new Set<Format>(['jsonl', 'csv', 'tsv', 'parquet', 'arrow']);

/** Formats of output whose arrays hold numbers alone: no texts, and no columns of the input. */
const ARRAYS: ReadonlySet<Format> = new Set<Format>(['npy', 'npz', 'safetensors']);

export function holdsArrays(format: Format): boolean {
  return ARRAYS.has(format);
}

/** Formats in which a file is one row. */
const FILE_A_ROW: ReadonlySet<Format> = new Set<Format>(['images', 'wav']);

export function isFileARow(format: Format): boolean {
  return FILE_A_ROW.has(format);
}

/** Formats in which all rows have the same columns. */
const TABLES: ReadonlySet<Format> = new Set<Format>(['csv', 'tsv', 'parquet', 'arrow']);

export function isTable(format: Format): boolean {
  return TABLES.has(format);
}

export function holdsRecords(format: Format): boolean {
  return RECORD_FORMATS.has(format);
}

/** Given as a path, it means stdin or stdout. */
export const STANDARD_STREAM = '-';
