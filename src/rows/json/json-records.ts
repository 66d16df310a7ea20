/** Reads JSON lines as records: each line is an object, kept whole. */
import type { ByteChunks } from '../byte-chunks.js';
import type { RowRecord } from '../record.js';
import type { ReadOptions, ReadRecord, RecordReader } from '../record-reader.js';
import type { RowId } from '../source.js';
import type { BatchIds } from './batch-ids.js';
import { mayBeBatchLine } from './batch-line.js';
import { kindOf } from './json-element.js';
import { linesOf, TOO_LONG } from './jsonl-lines.js';
import { digitsOfId, parseLine } from './jsonl-row.js';
import { invalid, isObject, readIdentified } from './object-row.js';

export class JsonRecords implements RecordReader {
  readonly rows = null;
  readonly columns = null;
  readonly #bytes: ByteChunks;
  readonly #lines: AsyncGenerator<Buffer | typeof TOO_LONG>;
  readonly #ids: BatchIds;
  readonly #only: readonly string[] | undefined;

  /** `ids` are those of the batch lines of all files of one input. */
  constructor(bytes: ByteChunks, where: string, { maxRowBytes, columns, from = 0 }: ReadOptions, ids: BatchIds) {
    this.#bytes = bytes;
    this.#lines = linesOf(bytes.chunks, { maxBytes: maxRowBytes, where, isStart: from === 0 });
    this.#ids = ids;
    this.#only = columns;
  }

  async next(most: number, index: number): Promise<readonly ReadRecord[]> {
    const rows: ReadRecord[] = [];
    while (rows.length < most) {
      const { value: line, done } = await this.#lines.next();
      if (done) break;
      rows.push(this.#parse(line, index + rows.length));
    }
    return rows;
  }

  /** Batch lines are parsed, to remember their ids. */
  async skip(rows: number): Promise<number> {
    for (let skipped = 0; skipped < rows; skipped++) {
      const { value: line, done } = await this.#lines.next();
      if (done) return skipped;
      if (line !== TOO_LONG && mayBeBatchLine(line)) this.#parse(line, skipped);
    }
    return rows;
  }

  async close(): Promise<void> {
    this.#lines.return(undefined).catch(() => {});
    await this.#bytes.release();
  }

  #parse(line: Buffer | typeof TOO_LONG, index: number): ReadRecord {
    const use = (row: unknown, id: RowId, batchLine: boolean) => {
      if (!isObject(row)) throw invalid(`the line is ${kindOf(row)}; a record is an object: {"column": value}`);
      if (batchLine && typeof id === 'string' && !this.#ids.add(id)) {
        throw invalid('an earlier row has the same custom_id; every row needs a different one');
      }
      return { index, id, record: this.#kept(row as RowRecord), batchLine };
    };
    return readIdentified(
      () => parseLine(line),
      index,
      use,
      () => digitsOfId(line),
    );
  }

  #kept(row: RowRecord): RowRecord {
    if (!this.#only) return row;
    const kept: Record<string, RowRecord[string]> = Object.create(null);
    for (const name of this.#only) if (Object.hasOwn(row, name)) kept[name] = row[name];
    return kept;
  }
}
