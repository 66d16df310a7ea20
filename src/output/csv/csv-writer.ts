/**
 * Writes rows as CSV or TSV: a line of names, then a line for each row: the kept columns, then a cell for each output. Cells are quoted only
 * where they must be (RFC 4180), lines end with LF. A list is JSON in its cell. A failed row has its kept columns and empty cells.
 */
import type { Column, Value } from '../../rows/record.js';
import { goodRows } from '../../rows/source.js';
import type { Tensor } from '../../tensor.js';
import { textOfElement } from '../json/jsonl-writer.js';
import { valueText } from '../json/value-text.js';
import {
  type ByteWriter,
  checkRowsAxis,
  type Earlier,
  type RowsWriter,
  rowRangesOf,
  type WriterState,
} from '../rows-writer.js';
import type { RowsDone } from '../sink.js';
import { checkSameColumns, tableColumns } from '../table-columns.js';

/** Text is written when it has this many characters, and at the end of each micro-batch. */
const CHUNK = 1 << 20;

export class CsvWriter implements RowsWriter {
  readonly #out: ByteWriter;
  readonly #delimiter: string;
  readonly #mustQuote: RegExp;
  /** Of the first line; empty before it is written. */
  #names: readonly string[];

  constructor(out: ByteWriter, delimiter: ',' | '\t', earlier?: Earlier) {
    this.#out = out;
    this.#delimiter = delimiter;
    this.#mustQuote = delimiter === ',' ? /[",\r\n]/ : /["\t\r\n]/;
    this.#names = earlier?.state.names ?? [];
  }

  async write(batch: RowsDone): Promise<void> {
    for (const [name, tensor] of batch.outputs) checkRowsAxis(name, tensor, goodRows(batch));
    const kept = batch.kept?.columns ?? [];
    const names = tableColumns(batch);
    let text = '';
    if (this.#names.length === 0) text = this.#line(names);
    else checkSameColumns(this.#names, names);
    this.#names = names;
    for (const { from, to, outputRow } of rowRangesOf(batch)) {
      for (let row = from; row < to; row++) {
        text += this.#line(cellsOf(batch, kept, row, outputRow === null ? null : outputRow + row - from));
        if (text.length < CHUNK) continue;
        await this.#out.write(Buffer.from(text));
        text = '';
      }
    }
    if (text !== '') await this.#out.write(Buffer.from(text));
  }

  state(): WriterState {
    return { names: this.#names };
  }

  async updateHeaders(): Promise<void> {}

  async finish(): Promise<void> {}

  async dispose(): Promise<void> {}

  #line(cells: readonly string[]): string {
    // A line without a character would be no row.
    if (cells.length === 1 && cells[0] === '') return '""\n';
    return `${cells.map((cell) => this.#quoted(cell)).join(this.#delimiter)}\n`;
  }

  #quoted(cell: string): string {
    return this.#mustQuote.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
  }
}

function cellsOf(batch: RowsDone, kept: readonly Column[], row: number, outputRow: number | null): string[] {
  const record = batch.kept?.records[row];
  const cells = kept.map(({ name }) => cellText(record?.[name]));
  if (!batch.kept && batch.ids) cells.push(String(batch.ids[row]));
  for (const tensor of batch.outputs.values()) cells.push(outputRow === null ? '' : tensorText(tensor, outputRow));
  for (const tensors of batch.ragged?.values() ?? [])
    cells.push(outputRow === null ? '' : [...textOfElement(tensors[outputRow]!, 0, 0)].join(''));
  for (const { values } of batch.columns?.values() ?? [])
    cells.push(outputRow === null ? '' : cellText(values[outputRow]));
  return cells;
}

function cellText(value: Value): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : valueText(value);
}

function tensorText(tensor: Tensor, row: number): string {
  const text = [...textOfElement(tensor, 1, row)].join('');
  // JSON has no such numbers; a cell needs no quotes for them.
  return tensor.shape.length === 1 && text.startsWith('"') ? text.slice(1, -1) : text;
}
