/** Bad-row search: finds the rows of a micro-batch that the stages cannot compute, by bisection. Reruns set part of the rows to zero. */
import type { TandemError } from '../errors.js';

/**
 * Runs the micro-batch alone, in its own shape, with the values of the rows `kept` and zeros in all other rows.
 * Resolves to `null` on success, else to the error.
 */
export type Rerun = (kept: readonly number[]) => Promise<TandemError | null>;

/** Rounds in which rows fail together but none fails by itself, after which the search gives up. */
const MAX_FRUITLESS = 3;

/** Failures that cost a restart of a worker, with the loading of its slice, or a full deadline. */
const COSTLY: ReadonlySet<string> = new Set(['TANDEM_STAGE_DIED', 'TANDEM_STAGE_TIMEOUT']);

/** How many costly failures one micro-batch may cause: enough to find about four bad rows. */
function costlyTries(rows: number): number {
  return 4 * (Math.ceil(Math.log2(rows)) + 3);
}

/**
 * The rows that fail by themselves among zeros, each with its error; none if the failure does not occur again.
 * The last rerun succeeded, with the values of all other rows.
 *
 * Throws the failure if the rows do not cause it (zeros fail too), if rows fail only together, and if the search
 * would cost too many restarts.
 */
export async function findBadRows(rows: number, rerun: Rerun): Promise<Map<number, TandemError>> {
  const search = new Search(rows, rerun);
  let failure = await search.fails(search.rest());
  if (failure === null) return search.blamed;
  // Twice, since a failure with a cause outside of the rows may occur here too.
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
  readonly #rerun: Rerun;
  #costlyLeft: number;

  constructor(rows: number, rerun: Rerun) {
    this.#rows = rows;
    this.#rerun = rerun;
    this.#costlyLeft = costlyTries(rows);
  }

  /** The rows that are not blamed. */
  rest(): number[] {
    return Array.from({ length: this.#rows }, (_, row) => row).filter((row) => !this.blamed.has(row));
  }

  async fails(kept: readonly number[]): Promise<TandemError | null> {
    const failure = await this.#rerun(kept);
    if (failure && COSTLY.has(failure.code) && this.#costlyLeft-- === 0) throw failure;
    return failure;
  }

  /** Bisects `suspects`, which fail together, down to single rows. `seen` is their failure; `null` if it was inferred and not observed. */
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
    // The first half succeeds, so the second half must contain a bad row.
    if (!leftFailure) return this.within(right, null);
    await this.within(left, leftFailure);
    const rightFailure = await this.fails(right);
    if (rightFailure) await this.within(right, rightFailure);
  }
}
