/** Reads CSV and TSV as records: the first line names the columns, every value is text, and an empty cell is an empty text. */
import { isUtf8 } from 'node:buffer';
import { TandemError } from '../../errors.js';
import type { ByteChunks } from '../byte-chunks.js';
import { chosenColumns } from '../chosen-columns.js';
import type { Column, Value } from '../record.js';
import type { ReadOptions, ReadRecord, RecordReader } from '../record-reader.js';
import { RowFault } from '../row-fault.js';
import { tableRowId } from '../table-row-id.js';
import { CsvScanner, cellText, type ScannedRow, TOO_LONG } from './csv-scanner.js';

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const UTF16_BOMS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];

export class CsvRecords implements RecordReader {
  readonly rows = null;
  readonly columns: readonly Column[];
  readonly #bytes: ByteChunks;
  readonly #rows: AsyncGenerator<ScannedRow | typeof TOO_LONG>;
  readonly #cells: number;
  /** The wanted columns: where each stands in a row. */
  readonly #wanted: readonly (readonly [name: string, cell: number])[];

  private constructor(
    bytes: ByteChunks,
    rows: AsyncGenerator<ScannedRow | typeof TOO_LONG>,
    names: readonly string[],
    wanted: readonly string[],
  ) {
    this.#bytes = bytes;
    this.#rows = rows;
    this.#cells = names.length;
    const places = new Map(names.map((name, cell) => [name, cell]));
    this.#wanted = wanted.map((name) => [name, places.get(name)!]);
    this.columns = wanted.map((name) => ({ name, type: 'string' }));
  }

  /** Owns `bytes` from now on. Throws TANDEM_INPUT_INVALID, TANDEM_INPUT_EMPTY. */
  static async open(
    bytes: ByteChunks,
    where: string,
    delimiter: string,
    { maxRowBytes, columns }: ReadOptions,
  ): Promise<CsvRecords> {
    const rows = rowsOf(bytes.chunks, new CsvScanner(delimiter, maxRowBytes), where);
    try {
      const { value: header, done } = await rows.next();
      if (done) {
        throw new TandemError('TANDEM_INPUT_EMPTY', `${where} is empty: its first line would name the columns`, {
          remedy: 'write a line with the names of the columns first',
        });
      }
      const names = namesOf(header, where);
      return new CsvRecords(bytes, rows, names, chosenColumns(names, columns, where));
    } catch (error) {
      await bytes.release();
      throw error;
    }
  }

  async next(most: number, index: number): Promise<readonly ReadRecord[]> {
    const read: ReadRecord[] = [];
    while (read.length < most) {
      const { value: row, done } = await this.#rows.next();
      if (done) break;
      read.push(this.#record(row, index + read.length));
    }
    return read;
  }

  async skip(rows: number): Promise<number> {
    for (let skipped = 0; skipped < rows; skipped++) if ((await this.#rows.next()).done) return skipped;
    return rows;
  }

  async close(): Promise<void> {
    this.#rows.return(undefined).catch(() => {});
    await this.#bytes.release();
  }

  #record(row: ScannedRow | typeof TOO_LONG, index: number): ReadRecord {
    const fault = this.#faultOf(row);
    if (fault || row === TOO_LONG) return fault!.at(index, index);
    const { bytes, ends } = row;
    const record: Record<string, Value> = Object.create(null);
    for (const [name, cell] of this.#wanted) {
      record[name] = cellText(bytes.toString('utf8', cell === 0 ? 0 : ends[cell - 1]! + 1, ends[cell]));
    }
    return { index, id: tableRowId(record, index), record, batchLine: false };
  }

  #faultOf(row: ScannedRow | typeof TOO_LONG): RowFault | null {
    if (row === TOO_LONG) return new RowFault('TANDEM_ROW_INVALID', 'the row is longer than the limit; split it');
    if (row.ends.length !== this.#cells) {
      const found = `the row has ${row.ends.length} ${row.ends.length === 1 ? 'cell' : 'cells'}`;
      return new RowFault('TANDEM_ROW_SHAPE', `${found}, and the first line names ${this.#cells} columns`);
    }
    return isUtf8(row.bytes) ? null : new RowFault('TANDEM_ROW_INVALID', 'the row is not UTF-8');
  }
}

/** Throws TANDEM_INPUT_INVALID for UTF-16, and where a quote is never closed: all after it would be one cell. */
async function* rowsOf(
  chunks: AsyncIterable<Uint8Array>,
  scanner: CsvScanner,
  where: string,
): AsyncGenerator<ScannedRow | typeof TOO_LONG> {
  let rows = 0;
  for await (const chunk of withoutMark(chunks, where)) {
    for (const row of scanner.push(chunk)) {
      rows += 1;
      yield row;
    }
  }
  if (scanner.inQuotes) {
    throw new TandemError('TANDEM_INPUT_INVALID', `${where} ends inside quotes, in row ${Math.max(0, rows - 1)}`, {
      remedy: 'the file was cut short, or a quote is missing there: a quote inside quotes is written twice',
    });
  }
  const last = scanner.end();
  if (last) yield last;
}

async function* withoutMark(chunks: AsyncIterable<Uint8Array>, where: string): AsyncGenerator<Uint8Array> {
  let head: Buffer | null = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (head === null) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < BOM.length) continue;
    yield startOf(head, where);
    head = null;
  }
  if (head) yield startOf(head, where);
}

function startOf(head: Buffer, where: string): Buffer {
  if (UTF16_BOMS.some((mark) => head.subarray(0, 2).equals(mark))) {
    throw new TandemError('TANDEM_INPUT_INVALID', `${where} is UTF-16 text`, {
      remedy: 'save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE',
    });
  }
  return head.subarray(0, 3).equals(BOM) ? head.subarray(3) : head;
}

/** A column without a name gets the name that pandas gives it: `Unnamed: 0`. */
function namesOf(header: ScannedRow | typeof TOO_LONG, where: string): string[] {
  const problem = header === TOO_LONG ? 'longer than the limit' : isUtf8(header.bytes) ? null : 'not UTF-8';
  if (problem || header === TOO_LONG) {
    throw new TandemError(
      'TANDEM_INPUT_INVALID',
      `the first line of ${where}, which names the columns, is ${problem}`,
      {
        remedy: 'save the table again as UTF-8, with a line of column names first',
      },
    );
  }
  const { bytes, ends } = header;
  const names = ends.map((end, cell) => cellText(bytes.toString('utf8', cell === 0 ? 0 : ends[cell - 1]! + 1, end)));
  const named = names.map((name, cell) => (name === '' ? `Unnamed: ${cell}` : name));
  const seen = new Set<string>();
  for (const name of named) {
    if (seen.has(name)) {
      throw new TandemError('TANDEM_INPUT_INVALID', `${where} has two columns named ${JSON.stringify(name)}`, {
        remedy: 'give each column a name of its own in the first line',
      });
    }
    seen.add(name);
  }
  return named;
}
