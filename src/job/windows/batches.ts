/** Divides the good rows of a window into micro-batches: by length, within the token budget. Pure. */
import { type LengthPlan, paddedLength, rowsAt } from '../../plan/length-plan.js';

/** Rows that share a micro-batch. */
export interface Batch {
  /** Their places among the good rows of the window. */
  readonly places: readonly number[];
  /** The length that all are padded to. */
  readonly length: number;
}

/** What decides with which rows a row may share a micro-batch. */
export interface RowSize {
  readonly length: number;
  /** Rows of other shapes may have the same length; without padding only rows of one shape go together. */
  readonly shape: string;
}

/**
 * Every row is in one batch, and no batch is over the budget unless it has one row. The result depends on the arguments alone, so a job that
 * is resumed makes the same batches. The longest rows come first: what is left at the end of a window is then quick.
 */
export function batchesOf(sizes: readonly RowSize[], plan: LengthPlan, mostRows: number): Batch[] {
  const order = sizes.map((_, place) => place);
  if (!plan.inOrder) order.sort((a, b) => compare(sizes[a]!, sizes[b]!) || a - b);
  const batches: Batch[] = [];
  for (let at = 0; at < order.length; ) {
    const first = sizes[order[at]!]!;
    const length = paddedLength(plan, first.length);
    const most = rowsAt(plan, mostRows, length);
    let to = at + 1;
    while (to < order.length && to - at < most && mayShare(first, sizes[order[to]!]!, plan)) to += 1;
    batches.push({ places: order.slice(at, to), length });
    at = to;
  }
  return batches;
}

/** Longest first; rows of one shape follow each other. */
function compare(a: RowSize, b: RowSize): number {
  return b.length - a.length || (a.shape < b.shape ? -1 : a.shape > b.shape ? 1 : 0);
}

/** `first` is the longest of its batch. */
function mayShare(first: RowSize, other: RowSize, { padded, inOrder }: LengthPlan): boolean {
  return padded && !inOrder ? true : first.shape === other.shape;
}

/** Tokens of the rows, and of the batches with padding. */
export function tokensOf(sizes: readonly RowSize[], batches: readonly Batch[]): { own: number; padded: number } {
  return {
    own: sizes.reduce((sum, { length }) => sum + length, 0),
    padded: batches.reduce((sum, { places, length }) => sum + places.length * length, 0),
  };
}
