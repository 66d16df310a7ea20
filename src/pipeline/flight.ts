/** A micro-batch on its way: filled, published, and each attempt to compute it. */
import type { Slot } from '../arena/slot.js';
import type { TandemError } from '../errors.js';
import type { Traits } from './micro-batch.js';

/** One attempt to compute a micro-batch. */
export interface Attempt {
  /** Microseconds of the monotonic clock. */
  readonly publishedAt: number;
  /** Resolves to `null` after all stages, or to the failure once the failed pool is ready again; never rejects. */
  readonly settled: Promise<TandemError | null>;
}

export interface Flight {
  readonly slot: Slot;
  readonly microBatch: number;
  readonly traits: Traits;
  /** Whether it has no rows: its slot stays FILLING until it is released, and no stage takes it. */
  readonly isEmpty: boolean;
  /** How many out-of-memory splits there had been when it was first published. */
  readonly splits: number;
  /** The newest one. */
  attempt: Attempt;
}

/** A slot that contains its inputs and is not published yet. `rows` 0: it has none, and is never published. */
export type Filled = Pick<Flight, 'slot' | 'microBatch' | 'traits'> & { readonly rows: number };
