/** Prints failed rows on stderr, for a run whose output is a stream and so has no errors file. */
import { grouped } from '../grouped-digits.js';
import type { RowFailure } from '../rows/source.js';
import { printable } from './fail.js';

/** Rows that are printed one by one; of the others only the number. */
const MOST_PRINTED = 10;
/** Characters of a row's id in a line, at most. */
const SHOWN = 80;

export class FailedRows {
  readonly #write: (line: string) => void;
  #count = 0;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** Failures of one micro-batch. */
  print(failures: readonly RowFailure[]): void {
    for (const failure of [...failures].sort((a, b) => a.index - b.index)) {
      this.#count += 1;
      if (this.#count <= MOST_PRINTED) this.#write(`tandem: ${formatFailure(failure)}\n`);
    }
  }

  /** Called once, after the last failure. */
  finish(): void {
    const more = this.#count - MOST_PRINTED;
    if (more <= 0) return;
    this.#write(`tandem: and ${grouped(more)} more failed rows\n`);
    this.#write('        --output FILE keeps every one in FILE.errors.jsonl\n');
  }
}

/** `row 7 (id "r7"): inputs.x has 2 values where 16 belong [TANDEM_ROW_SHAPE]`; the id is left out if it is the position. */
export function formatFailure({ index, id, code, message }: RowFailure): string {
  const name = id === index ? '' : ` (id ${printable(JSON.stringify(id).slice(0, SHOWN))})`;
  return `row ${index}${name}: ${printable(message)} [${code}]`;
}
