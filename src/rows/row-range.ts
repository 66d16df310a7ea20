/** A range of the rows of an input, and how many of it are left. */
import { TandemError } from '../errors.js';
import type { RefusedRow } from './refused-rows.js';

/** Where reading may begin without what lies before it: a byte of a file of the input, by its place in the list, where the row `row` begins. */
export interface ReadingPlace {
  readonly file: number;
  readonly byte: number;
  readonly row: number;
}

/** Rows by their positions in the whole input. */
export interface RowRange {
  readonly firstRow: number;
  readonly rows: number;
  /** At or before `firstRow`. */
  readonly at?: ReadingPlace | undefined;
  /** Rows of it that fail without being computed. */
  readonly refused?: readonly RefusedRow[] | undefined;
}

/** Counts the rows that are left of a range. */
export class RowsLeft {
  readonly #range: RowRange;
  #next: number;

  /** `next` is the row at which the source reads. */
  constructor(range: RowRange, next: number) {
    this.#range = range;
    this.#next = next;
  }

  /** Position of the next row. */
  get next(): number {
    return this.#next;
  }

  of(wanted: number): number {
    const { firstRow, rows } = this.#range;
    return Math.min(wanted, firstRow + rows - this.#next);
  }

  /** Throws TANDEM_INPUT_CHANGED for an input that ends before the range. */
  took<Read extends { readonly rows: number }>(read: Read): Read {
    this.#next += read.rows;
    if (read.rows > 0) return read;
    const { firstRow, rows } = this.#range;
    throw new TandemError(
      'TANDEM_INPUT_CHANGED',
      `the input ends at row ${this.#next}, and was counted to ${firstRow + rows} rows`,
      {
        remedy: 'wait until the program that writes it has ended, then start the job again',
      },
    );
  }
}

/** A list of the rows of an input, of which only those of the range are left; the others keep their places. */
export function endOf<T>(all: readonly T[], range: RowRange | undefined): readonly T[] {
  return range ? all.slice(0, range.firstRow + range.rows) : all;
}
