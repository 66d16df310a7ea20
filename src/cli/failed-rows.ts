/** Failed rows told on stderr, for a run whose output is a stream and so has no errors file beside it. */
import type { RowFailure } from '../job/source.js';
import { printable } from './fail.js';

/** Rows that are told one by one; of the others only how many they are. */
const TOLD = 10;
/** As much of a row's id as a line shows. */
const SHOWN = 80;

export class FailedRows {
  readonly #write: (line: string) => void;
  #count = 0;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** Failures of one micro-batch. */
  tell(failures: readonly RowFailure[]): void {
    for (const failure of [...failures].sort((a, b) => a.index - b.index)) {
      this.#count += 1;
      if (this.#count <= TOLD) this.#write(`tandem: ${formatFailure(failure)}\n`);
    }
  }

  /** Once, when no more can come. */
  finish(): void {
    const more = this.#count - TOLD;
    if (more <= 0) return;
    this.#write(`tandem: and ${more.toLocaleString('en')} more failed rows\n`);
    this.#write('        --output FILE keeps every one in FILE.errors.jsonl\n');
  }
}

/** `row 7 (id "r7"): inputs.x has 2 values where 16 belong [TANDEM_ROW_SHAPE]`; the id is left out where it is the position. */
export function formatFailure({ index, id, code, message }: RowFailure): string {
  const name = id === index ? '' : ` (id ${printable(JSON.stringify(id).slice(0, SHOWN))})`;
  return `row ${index}${name}: ${printable(message)} [${code}]`;
}
