/** Reads batches of Arrow rows as records. */
import type { RecordBatch, Schema, Vector } from 'apache-arrow';
import { TandemError } from '../../errors.js';
import { chosenColumns } from '../chosen-columns.js';
import type { Column, Value } from '../record.js';
import type { ReadRecord, RecordReader } from '../record-reader.js';
import { tableRowId } from '../table-row-id.js';
import type { Arrow } from './arrow-library.js';
import { typeName, valueAt } from './arrow-values.js';

export interface Batches {
  /** Rows of the whole file, or `null` if the file does not record it. */
  readonly rows: number | null;
  readonly columns: readonly Column[];
  /** The batches from row `firstRow` on; the first one may begin before it, and then has its first row's number. */
  read(firstRow: number): AsyncGenerator<RecordBatch>;
  /** The row that the first batch of `read(firstRow)` begins with. */
  beginOf(firstRow: number): number;
  /** The error for a value that is not where the file says. */
  damaged(cause: unknown): TandemError;
  close(): Promise<void>;
}

export class BatchRecords implements RecordReader {
  readonly rows: number | null;
  readonly columns: readonly Column[];
  readonly #arrow: Arrow;
  readonly #batches: Batches;
  #reading: AsyncGenerator<RecordBatch> | null = null;
  #vectors: readonly (readonly [name: string, vector: Vector])[] = [];
  /** Rows of the batch, and the next one of them. */
  #length = 0;
  #at = 0;
  /** Rows passed over before reading began. */
  #skipped = 0;

  constructor(arrow: Arrow, batches: Batches) {
    this.#arrow = arrow;
    this.#batches = batches;
    this.rows = batches.rows;
    this.columns = batches.columns;
  }

  async next(most: number, index: number): Promise<readonly ReadRecord[]> {
    if (this.#at === this.#length && !(await this.#nextBatch())) return [];
    const count = Math.min(most, this.#length - this.#at);
    return Array.from({ length: count }, (_, n) => this.#record(this.#at++, index + n));
  }

  async skip(rows: number): Promise<number> {
    if (this.#reading === null && this.rows !== null) {
      const skipped = Math.min(rows, this.rows - this.#skipped);
      this.#skipped += skipped;
      return skipped;
    }
    if (this.#at === this.#length && !(await this.#nextBatch())) return 0;
    const count = Math.min(rows, this.#length - this.#at);
    this.#at += count;
    return count;
  }

  async close(): Promise<void> {
    this.#reading?.return(undefined).catch(() => {});
    await this.#batches.close();
  }

  async #nextBatch(): Promise<boolean> {
    let begin = 0;
    if (this.#reading === null) {
      this.#reading = this.#batches.read(this.#skipped);
      begin = this.#skipped - this.#batches.beginOf(this.#skipped);
    }
    for (;;) {
      const { value: batch, done } = await this.#reading.next();
      if (done) return false;
      if (batch.numRows <= begin) {
        begin -= batch.numRows;
        continue;
      }
      this.#vectors = this.columns.map(({ name }) => [name, batch.getChild(name)!]);
      this.#length = batch.numRows;
      this.#at = begin;
      return true;
    }
  }

  #record(row: number, index: number): ReadRecord {
    const record: Record<string, Value> = Object.create(null);
    try {
      for (const [name, vector] of this.#vectors) record[name] = valueAt(this.#arrow, vector, row);
    } catch (cause) {
      throw this.#batches.damaged(cause);
    }
    return { index, id: tableRowId(record, index), record, batchLine: false };
  }
}

/** The wanted columns of a schema. Throws TANDEM_INPUT_INVALID for two of one name, one that is not there, and a type that is not read. */
export function columnsOf(
  arrow: Arrow,
  { fields }: Schema,
  wanted: readonly string[] | undefined,
  where: string,
): readonly Column[] {
  const names = fields.map(({ name }) => name);
  const twice = names.length === new Set(names).size ? undefined : names.find((name, n) => names.indexOf(name) !== n);
  if (twice !== undefined) {
    throw new TandemError('TANDEM_INPUT_INVALID', `${where} has two columns named ${JSON.stringify(twice)}`, {
      remedy: 'give each column a name of its own',
    });
  }
  const byName = new Map(fields.map((field) => [field.name, field]));
  return chosenColumns(names, wanted, where).map((name) => {
    const type = typeName(arrow, byName.get(name)!.type);
    if (type !== null) return { name, type };
    throw new TandemError(
      'TANDEM_INPUT_INVALID',
      `column "${name}" of ${where} is ${byName.get(name)!.type}, which is not read`,
      { remedy: 'leave the column out of the file, or keep others with --keep' },
    );
  });
}
