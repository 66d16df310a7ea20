/**
 * Splits the bytes of a CSV file into rows and cells, with bounded memory: a row longer than the limit is passed over, and the rows
 * after it are read. The states and what they do with stray quotes are those of Python's csv module (Modules/_csv.c, not strict), so
 * whatever Python or pandas writes and reads is read alike. No kept library passes over a huge cell: csv-parse 7.0 then drops the rest
 * of its chunk, and papaparse 5.7 holds the whole cell and reads it anew with each chunk.
 */

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
const START_SIZE = 1 << 16;

/** A row: the bytes of each cell, as they stand in the file. They are valid until the next `push`. */
export interface ScannedRow {
  readonly bytes: Buffer;
  /** Where each cell ends in `bytes`; the next begins one byte later. */
  readonly ends: readonly number[];
}

/** Yielded for a row that is longer than the limit. */
export const TOO_LONG = Symbol('too long');

/** More cells than any table has columns: a longer row is passed over. */
const MAX_CELLS = 1 << 20;

/** Where the scanner is in a cell. */
type State = 'start' | 'plain' | 'quoted' | 'after quote';

export class CsvScanner {
  readonly #delimiter: number;
  readonly #maxBytes: number;
  #buffer = Buffer.alloc(START_SIZE);
  /** Bytes of the unfinished row in the buffer, all of them looked at. */
  #length = 0;
  #ends: number[] = [];
  #state: State = 'start';
  #tooLong = false;
  /** Whether the last byte was a CR that ended a row: an LF then belongs to it. */
  #afterCr = false;

  constructor(delimiter: string, maxBytes: number) {
    this.#delimiter = delimiter.charCodeAt(0);
    this.#maxBytes = maxBytes;
  }

  /** Whether the bytes so far end inside quotes. */
  get inQuotes(): boolean {
    return this.#state === 'quoted';
  }

  /** The rows that `chunk` completes. Blank lines are no rows. */
  *push(chunk: Uint8Array): Generator<ScannedRow | typeof TOO_LONG> {
    if (chunk.length === 0) return;
    let from = this.#afterCr && chunk[0] === LF ? 1 : 0;
    this.#afterCr = false;
    for (let at = from; at < chunk.length; at++) {
      if (this.#state === 'quoted') {
        at = chunk.indexOf(QUOTE, at);
        if (at < 0) break;
        this.#state = 'after quote';
        continue;
      }
      const byte = chunk[at]!;
      if (byte === this.#delimiter) {
        if (!this.#tooLong) this.#endCell(this.#length + at - from);
        this.#state = 'start';
      } else if (byte === LF || byte === CR) {
        const row = this.#end(chunk.subarray(from, at));
        if (row) yield row;
        if (byte === CR && chunk[at + 1] === LF) at += 1;
        else this.#afterCr = byte === CR && at + 1 === chunk.length;
        from = at + 1;
      } else if (byte === QUOTE && this.#state !== 'plain') this.#state = 'quoted';
      else this.#state = 'plain';
    }
    if (from < chunk.length) this.#keep(chunk.subarray(from));
  }

  /** The last row, where no line end follows it. */
  end(): ScannedRow | typeof TOO_LONG | null {
    return this.#end(new Uint8Array(0));
  }

  #endCell(at: number): void {
    if (this.#ends.length === MAX_CELLS) this.#tooLong = true;
    else this.#ends.push(at);
  }

  #end(rest: Uint8Array): ScannedRow | typeof TOO_LONG | null {
    this.#keep(rest);
    const [tooLong, ends, length] = [this.#tooLong, this.#ends, this.#length];
    this.#tooLong = false;
    this.#ends = [];
    this.#length = 0;
    this.#state = 'start';
    if (tooLong) return TOO_LONG;
    if (length === 0 && ends.length === 0) return null;
    ends.push(length);
    return { bytes: this.#buffer.subarray(0, length), ends };
  }

  #keep(part: Uint8Array): void {
    const length = this.#length + part.length;
    if (length > this.#maxBytes) this.#tooLong = true;
    if (this.#tooLong) {
      this.#ends = [];
      this.#length = 0;
      if (this.#buffer.length > START_SIZE) this.#buffer = Buffer.alloc(START_SIZE);
      return;
    }
    if (length > this.#buffer.length) {
      const grown = Buffer.alloc(Math.min(this.#maxBytes, Math.max(length, this.#buffer.length * 2)));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    this.#buffer.set(part, this.#length);
    this.#length = length;
  }
}

/** The value of a cell from its text in the file: quotes around it are removed, and doubled ones inside are single. */
export function cellText(raw: string): string {
  if (raw.charCodeAt(0) !== QUOTE) return raw;
  let text = '';
  for (let from = 1; ; ) {
    const quote = raw.indexOf('"', from);
    if (quote < 0) return text + raw.slice(from);
    if (raw.charCodeAt(quote + 1) !== QUOTE) return text + raw.slice(from, quote) + raw.slice(quote + 1);
    text += raw.slice(from, quote + 1);
    from = quote + 2;
  }
}
