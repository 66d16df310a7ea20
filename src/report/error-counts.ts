/** Counts failed rows by error code and keeps the first rows of each code as examples. */

/** The kept part of a row's failure. */
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
/** Longest id or message in characters; both come from the rows. */
const LONGEST = 300;

export class ErrorCounts {
  readonly #byCode = new Map<string, { count: number; examples: Omit<FailedRow, 'code'>[] }>();

  add(failures: readonly (Omit<FailedRow, 'id'> & { readonly id: unknown })[]): void {
    for (const { code, index, id, message } of failures) {
      const found = this.#byCode.get(code) ?? { count: 0, examples: [] };
      this.#byCode.set(code, found);
      found.count += 1;
      if (found.examples.length < EXAMPLES)
        found.examples.push({ index, id: shortened(idOf(id)), message: shortened(message) });
    }
  }

  /** By descending count. */
  get counts(): ErrorCount[] {
    const counts = [...this.#byCode].map(([code, rest]) => ({ code, ...rest }));
    return counts.sort((a, b) => b.count - a.count || (a.code < b.code ? -1 : 1));
  }
}

/** The id of a bad row may be any JSON value. */
function idOf(id: unknown): string | number {
  return typeof id === 'string' || typeof id === 'number' ? id : JSON.stringify(id);
}

function shortened<T extends string | number>(value: T): T | string {
  return typeof value === 'string' && value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
}
