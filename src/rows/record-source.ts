/** Opens the rows of a job as records, which are values by column: JSON lines and tables, from one file, several, or stdin. */
import type { Readable } from 'node:stream';
import { TandemError } from '../errors.js';
import { openChunks, streamChunks } from './byte-chunks.js';
import { CsvRecords } from './csv/csv-records.js';
import { expandInputs } from './expand-inputs.js';
import { type Format, holdsRecords, STANDARD_STREAM } from './format.js';
import { formatOf } from './format-of-path.js';
import { BatchIds } from './json/batch-ids.js';
import { JsonRecords } from './json/json-records.js';
import type { Column, RowRecord } from './record.js';
import { isFailedRecord, type ReadOptions, type RecordReader } from './record-reader.js';
import { refuseRecords } from './refused-rows.js';
import { type ReadingPlace, type RowRange, RowsLeft } from './row-range.js';
import type { RowFailure, RowId } from './source.js';

export type { Column, RowRecord, Value } from './record.js';

/** Consecutive rows of the input that one `read` took. */
export interface RecordsRead {
  /** Rows of the input, refused ones included; 0 at the end of the input. */
  readonly rows: number;
  /** The good rows, in order. */
  readonly records: readonly RowRecord[];
  /** The rows that were refused, in order. */
  readonly failures: readonly RowFailure[];
  /** One for each row: its `id` (of a JSON line or a table's column of that name) or its position. */
  readonly ids: readonly RowId[];
  /** Which of these rows, counted from 0, are lines of an OpenAI batch file. */
  readonly batchLines: ReadonlySet<number>;
}

export interface RecordSource {
  /** Rows of the whole input, or `null` if a format does not record it. */
  readonly rows: number | null;
  /** Of all files; `null` for JSON lines, where each row has columns of its own. */
  readonly columns: readonly Column[] | null;
  /** The next rows, at most `maxRows`; fewer also where a file ends or rows are large. Throws coded errors if a file itself is damaged; a damaged row is a failure in the result. */
  read(maxRows: number): Promise<RecordsRead>;
  close(): Promise<void>;
}

export interface RecordOptions {
  /** Overrides the format by extension. Stdin is JSONL by default. */
  readonly format?: string | undefined;
  /** The stream that `-` reads; default `process.stdin`. */
  readonly stdin?: Readable;
  /** Position of the first row to read, from 0, over all files: where a stopped job resumes. */
  readonly firstRow?: number;
  /** The rows that the source ends with; `firstRow` is one of them. Default: the whole input. */
  readonly range?: RowRange | undefined;
  /** Longest row in bytes; a longer row is a failed row. Default 64 MiB. */
  readonly maxRowBytes?: number;
  /** Only these columns; default all. A table without one of them is refused; an object that lacks one is no failure. */
  readonly columns?: readonly string[];
}

export const DEFAULT_MAX_ROW_BYTES = 64 << 20;

/**
 * The rows of `inputs`: paths, globs (`shards/*.csv`), folders, or `-` for stdin; files may be compressed by gzip or zstd. All have one format.
 * Throws TANDEM_INPUT_MISSING, TANDEM_INPUT_INVALID, TANDEM_INPUT_EMPTY, and TANDEM_USAGE for an impossible format.
 */
export async function openRecords(inputs: readonly string[], options: RecordOptions = {}): Promise<RecordSource> {
  const paths = await expandInputs(inputs, options.format);
  const format = formatOf(paths[0]!, options.format);
  if (!holdsRecords(format)) {
    throw new TandemError('TANDEM_USAGE', `${paths[0]} is ${format.toUpperCase()}, which holds arrays, not records`, {
      remedy: 'give JSON lines or a table',
    });
  }
  const { maxRowBytes = DEFAULT_MAX_ROW_BYTES, columns, stdin } = options;
  const ids = new BatchIds();
  const open = (path: string, from?: number) =>
    openReader(path, format, { maxRowBytes, columns, from }, { ids, stdin });
  const source = await FilesOfRecords.open(paths, open, format === 'jsonl' ? options.range?.at : undefined);
  try {
    const { range, firstRow = 0 } = options;
    await source.skipTo(firstRow);
    return range ? recordsWithin(source, range, firstRow) : source;
  } catch (error) {
    await source.close();
    throw error;
  }
}

function recordsWithin(records: RecordSource, range: RowRange, next: number): RecordSource {
  const left = new RowsLeft(range, next);
  return {
    rows: range.rows,
    columns: records.columns,
    async read(maxRows: number): Promise<RecordsRead> {
      const wanted = left.of(maxRows);
      if (wanted === 0) return { rows: 0, records: [], failures: [], ids: [], batchLines: new Set() };
      const { next: first } = left;
      return refuseRecords(left.took(await records.read(wanted)), first, range.refused ?? []);
    },
    close: () => records.close(),
  };
}

async function openReader(
  path: string,
  format: Format,
  options: ReadOptions,
  { ids, stdin = process.stdin }: { readonly ids: BatchIds; readonly stdin?: Readable | undefined },
): Promise<RecordReader> {
  const where = path === STANDARD_STREAM ? 'stdin' : path;
  if (format === 'parquet') {
    if (path !== STANDARD_STREAM) return (await import('./parquet/open-parquet.js')).openParquet(path, options);
    throw new TandemError('TANDEM_USAGE', 'Parquet cannot be read from stdin: its directory is at its end', {
      remedy: 'write it to a file first, or send CSV, Arrow or JSON lines',
    });
  }
  const bytes =
    path === STANDARD_STREAM ? streamChunks(stdin, where, format) : await openChunks(path, format, options.from);
  if (format === 'arrow') return (await import('./arrow/open-arrow.js')).openArrow(bytes, where, options);
  if (format === 'jsonl') return new JsonRecords(bytes, where, options, ids);
  return CsvRecords.open(bytes, where, format === 'csv' ? ',' : '\t', options);
}

/** Opens one file, at a byte of it. */
type OpenReader = (path: string, from?: number) => Promise<RecordReader>;

/** Several files, one after another. Only one is open at a time. */
class FilesOfRecords implements RecordSource {
  readonly rows: number | null;
  readonly columns: readonly Column[] | null;
  readonly #paths: readonly string[];
  readonly #open: OpenReader;
  #reader: RecordReader;
  /** The file that `#reader` reads. */
  #file = 0;
  #next = 0;
  #closed = false;

  private constructor(paths: readonly string[], open: OpenReader, first: RecordReader) {
    this.#paths = paths;
    this.#open = open;
    this.#reader = first;
    this.rows = paths.length === 1 ? first.rows : null;
    this.columns = first.columns;
  }

  /** `at`: where reading begins, in a format without columns. */
  static async open(paths: readonly string[], open: OpenReader, at?: ReadingPlace): Promise<FilesOfRecords> {
    const source = new FilesOfRecords(paths, open, await open(paths[at?.file ?? 0]!, at?.byte));
    source.#file = at?.file ?? 0;
    source.#next = at?.row ?? 0;
    return source;
  }

  async skipTo(row: number): Promise<void> {
    while (this.#next < row) {
      const skipped = await this.#reader.skip(row - this.#next);
      this.#next += skipped;
      if (skipped === 0 && !(await this.#nextFile())) return;
    }
  }

  async read(maxRows: number): Promise<RecordsRead> {
    const records: RowRecord[] = [];
    const failures: RowFailure[] = [];
    const ids: RowId[] = [];
    const batchLines = new Set<number>();
    // What a reader gives at once is returned at once: it gives fewer rows where they are large.
    while (ids.length === 0) {
      const read = await this.#reader.next(maxRows, this.#next);
      for (const row of read) {
        if (row.batchLine) batchLines.add(ids.length);
        if (isFailedRecord(row)) failures.push(row);
        else records.push(row.record);
        ids.push(isFailedRecord(row) ? row.index : row.id);
      }
      this.#next += read.length;
      if (read.length === 0 && !(await this.#nextFile())) break;
    }
    if (this.#closed) throw closedWhileReading(this.#paths[this.#file]!);
    return { rows: ids.length, records, failures, ids, batchLines };
  }

  /** Does not wait for a read that blocks on a pipe: it ends when the stream is released. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#reader.close();
  }

  async #nextFile(): Promise<boolean> {
    if (this.#closed || this.#file + 1 === this.#paths.length) return false;
    await this.#reader.close();
    this.#file += 1;
    this.#reader = await this.#open(this.#paths[this.#file]!);
    checkSameColumns(this.#paths, this.#file, this.columns, this.#reader.columns);
    return true;
  }
}

/** Throws TANDEM_INPUT_INVALID unless both files have the same columns, in any order. */
function checkSameColumns(
  paths: readonly string[],
  file: number,
  first: readonly Column[] | null,
  now: readonly Column[] | null,
): void {
  const texts = (columns: readonly Column[] | null) => new Set(columns?.map(({ name, type }) => `${name}: ${type}`));
  const [a, b] = [texts(first), texts(now)];
  const differing = [...a].find((column) => !b.has(column)) ?? [...b].find((column) => !a.has(column));
  if (differing === undefined) return;
  const has = a.has(differing) ? [paths[0], paths[file]] : [paths[file], paths[0]];
  throw new TandemError('TANDEM_INPUT_INVALID', `${has[0]} has a column ${differing}, which ${has[1]} has not`, {
    remedy: 'give files with the same columns, or run them one by one',
  });
}

function closedWhileReading(where: string): TandemError {
  return new TandemError('TANDEM_CLOSED', `${where} was closed while its rows were read`, {
    remedy: 'read all rows before closing the source',
  });
}
