/**
 * What is kept of the rows of an input: its records are read a second time, in step with the results, so that no record waits in memory for
 * the stages, and every source of rows needs to know nothing of it.
 */
import { stat } from 'node:fs/promises';
import { TandemError } from '../errors.js';
import { STANDARD_STREAM } from './format.js';
import { formatOf } from './format-of-path.js';
import { jsonColumns } from './json/json-columns.js';
import { ALL_COLUMNS } from './kept-columns.js';
import type { Column, Kept, RowRecord } from './record.js';
import { openRecords, type RecordSource } from './record-source.js';
import type { RowRange } from './row-range.js';

/** What is kept, and how it is written. */
export interface Keeping {
  /** Names of columns; `*` for all. */
  readonly names: readonly string[];
  /** Whether the output is a table: then every column has one type in all rows. */
  readonly typed: boolean;
}

export class KeptRows {
  readonly columns: readonly Column[] | null;
  readonly #records: RecordSource;
  #next: number;

  private constructor(records: RecordSource, columns: readonly Column[] | null, firstRow: number) {
    this.#records = records;
    this.columns = columns;
    this.#next = firstRow;
  }

  /**
   * `null` if nothing is kept. Throws TANDEM_INPUT_INVALID for a column that the input does not have, TANDEM_USAGE for an input that can be
   * read only once, and what `openRecords` throws.
   */
  static async open(
    paths: readonly string[],
    format: string | undefined,
    { names, typed }: Keeping,
    firstRow: number,
    within?: RowRange,
  ): Promise<KeptRows | null> {
    if (names.length === 0) return null;
    // A row that is refused because of what computes it can be read all the same.
    const range = within && { ...within, refused: undefined };
    await checkTwice(paths, names);
    const columns = names.includes(ALL_COLUMNS) ? undefined : names;
    const isJson = formatOf(paths[0]!, format) === 'jsonl';
    const types = typed && isJson ? await jsonColumns(paths, names) : null;
    const records = await openRecords(paths, { format, firstRow, range, ...(columns && { columns }) });
    return new KeptRows(records, types ?? records.columns, firstRow);
  }

  /** Of the next `rows` rows. */
  async take(rows: number): Promise<Kept> {
    const records: (RowRecord | null)[] = [];
    while (records.length < rows) {
      const read = await this.#records.read(rows - records.length);
      if (read.rows === 0) throw changed();
      const failed = new Set(read.failures.map(({ index }) => index - this.#next));
      const good = read.records.values();
      for (let n = 0; n < read.rows; n++) records.push(failed.has(n) ? null : good.next().value!);
      this.#next += read.rows;
    }
    return { columns: this.columns, records };
  }

  async close(): Promise<void> {
    await this.#records.close();
  }
}

async function checkTwice(paths: readonly string[], names: readonly string[]): Promise<void> {
  for (const path of paths) {
    const found = path === STANDARD_STREAM ? null : await stat(path).catch(() => null);
    if (found?.isFile() || (path !== STANDARD_STREAM && found === null)) continue;
    const what = path === STANDARD_STREAM ? 'stdin' : path;
    throw new TandemError('TANDEM_USAGE', `--keep ${names.join(',')}: ${what} can be read only once`, {
      remedy: `give the rows as a file, or keep nothing: --keep ''`,
    });
  }
}

function changed(): TandemError {
  return new TandemError('TANDEM_INPUT_CHANGED', 'the input has fewer rows than when it was read first', {
    remedy: 'wait until the program that writes it has ended, then run again',
  });
}
