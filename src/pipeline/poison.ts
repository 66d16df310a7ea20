/** Which rows of a micro-batch the stages cannot compute: found by running it again and again with part of its rows put to zero. */
import type { TandemError } from '../errors.js';

/**
 * Runs the micro-batch alone, in its own shape, with the values of the rows `kept` and zeros in the place of all others.
 * Resolves to `null` when it went through, else to what was thrown.
 */
export type Attempt = (kept: readonly number[]) => Promise<TandemError | null>;

/** Rounds in which rows fail together but none of them fails by itself. */
const MAX_FRUITLESS = 3;

/** Failures that cost a worker: its end, its replacement and the loading of its slice; or a whole deadline. */
const COSTLY: ReadonlySet<string> = new Set(['TANDEM_STAGE_DIED', 'TANDEM_STAGE_TIMEOUT']);

/** How often one micro-batch may cost a worker: enough to single out about four of its rows. */
export function costlyTries(rows: number): number {
  return 4 * (Math.ceil(Math.log2(rows)) + 3);
}

/**
 * The rows that fail by themselves, beside zeros, each with what it makes a stage throw; none when the failure has passed.
 * The last attempt has gone through, and had the values of all other rows.
 *
 * Throws the failure when it is not the rows' doing (zeros fail too), when rows fail only together, and when finding out
 * would cost too many workers.
 */
export async function findPoison(rows: number, attempt: Attempt): Promise<Map<number, TandemError>> {
  const search = new Search(rows, attempt);
  let failure = await search.fails(search.rest());
  if (failure === null) return search.blamed;
  // Twice, since what strikes from outside may strike here too.
  if ((await search.fails([])) && (await search.fails([]))) throw failure;
  for (let fruitless = 0; failure; failure = await search.fails(search.rest())) {
    const before = search.blamed.size;
    await search.within(search.rest(), failure);
    fruitless = search.blamed.size > before ? 0 : fruitless + 1;
    if (fruitless === MAX_FRUITLESS) throw failure;
  }
  return search.blamed;
}

class Search {
  readonly blamed = new Map<number, TandemError>();
  readonly #rows: number;
  readonly #attempt: Attempt;
  #costlyLeft: number;

  constructor(rows: number, attempt: Attempt) {
    this.#rows = rows;
    this.#attempt = attempt;
    this.#costlyLeft = costlyTries(rows);
  }

  /** The rows that nothing has been found against. */
  rest(): number[] {
    return Array.from({ length: this.#rows }, (_, row) => row).filter((row) => !this.blamed.has(row));
  }

  async fails(kept: readonly number[]): Promise<TandemError | null> {
    const failure = await this.#attempt(kept);
    if (failure && COSTLY.has(failure.code) && this.#costlyLeft-- === 0) throw failure;
    return failure;
  }

  /** Halves `suspects`, which fail together, down to single rows. `seen` is their failure, `null` if it was only concluded. */
  async within(suspects: readonly number[], seen: TandemError | null): Promise<void> {
    const [first] = suspects;
    if (suspects.length === 1) {
      const failure = seen ?? (await this.fails(suspects));
      if (failure) this.blamed.set(first!, failure);
      return;
    }
    const half = suspects.length >> 1;
    const left = suspects.slice(0, half);
    const right = suspects.slice(half);
    const leftFailure = await this.fails(left);
    // What fails without its first half's doing must fail by its second.
    if (!leftFailure) return this.within(right, null);
    await this.within(left, leftFailure);
    const rightFailure = await this.fails(right);
    if (rightFailure) await this.within(right, rightFailure);
  }
}
