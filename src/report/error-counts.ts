/** Failed rows by the code of their error: how many, and the first of each to look at. */

/** As much of a row's failure as is kept. */
export interface FailedRow {
  readonly index: number;
  readonly id: string | number;
  readonly code: string;
  readonly message: string;
}

export interface ErrorCount {
  readonly code: string;
  readonly count: number;
  readonly examples: readonly Omit<FailedRow, 'code'>[];
}

const EXAMPLES = 5;
/** Characters of an id or a message: they come from the rows. */
const LONGEST = 300;

export class ErrorCounts {
  readonly #byCode = new Map<string, { count: number; examples: Omit<FailedRow, 'code'>[] }>();

  add(failures: readonly FailedRow[]): void {
    for (const { code, index, id, message } of failures) {
      const found = this.#byCode.get(code) ?? { count: 0, examples: [] };
      this.#byCode.set(code, found);
      found.count += 1;
      if (found.examples.length < EXAMPLES)
        found.examples.push({ index, id: shortened(id), message: shortened(message) });
    }
  }

  /** The most frequent first. */
  get counts(): ErrorCount[] {
    const counts = [...this.#byCode].map(([code, rest]) => ({ code, ...rest }));
    return counts.sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1));
  }
}

function shortened<T extends string | number>(value: T): T | string {
  return typeof value === 'string' && value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
}
