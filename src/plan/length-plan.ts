/** How micro-batches are made of rows that differ in length: by a budget of tokens, from windows of the input. Data, and what follows from it. */
import { TandemError } from '../errors.js';
import type { TensorSpec } from '../tensor.js';

/** Part of the plan, so that a job that is resumed makes the same micro-batches. */
export interface LengthPlan {
  /** The token budget: rows x padded length of a micro-batch, at most. A row that is longer is alone. */
  readonly tokens: number;
  /** Rows of the input that are sorted together; results are written window by window. */
  readonly window: number;
  /** Lengths are rounded up to a multiple of it, or to the longest row, so that engines meet few shapes. */
  readonly multiple: number;
  /** Whether rows of different lengths are padded to share a micro-batch; else only rows of the same shape do. */
  readonly padded: boolean;
  /** Rows keep the order of the input, because a row's answer depends on the other rows of its micro-batch. */
  readonly inOrder?: boolean | undefined;
  /** The padded lengths of the shortest and of the longest row. */
  readonly shortest: number;
  readonly longest: number;
  /** One for each fed input: the largest size of each axis of one row, with padding. */
  readonly largest: readonly (readonly number[])[];
  /** Rows of a micro-batch on average in this input. */
  readonly meanRows: number;
  /** Tokens of a row on average in this input, with padding. */
  readonly meanTokens: number;
}

/** Rows of a window: sorted within so many, the rows of a text job have 4 % of padding (bench/README.md), and results wait for few others. */
export const WINDOW_ROWS = 1024;

/** How lengths are rounded up. */
export type Rounding = Pick<LengthPlan, 'multiple' | 'padded' | 'longest'>;

/** The length that a row of `length` is padded to: never more than the longest, since a model may have no more positions. */
export function paddedLength({ multiple, padded, longest }: Rounding, length: number): number {
  return padded ? Math.max(length, Math.min(longest, Math.ceil(length / multiple) * multiple)) : length;
}

/** Rows of this padded length in a micro-batch, at most. */
export function rowsAt({ tokens }: Pick<LengthPlan, 'tokens'>, mostRows: number, length: number): number {
  return Math.min(mostRows, Math.max(1, Math.floor(tokens / Math.max(1, length))));
}

/** A shape of a micro-batch that the pipeline must have room for. */
export interface MicroBatchShape {
  readonly rows: number;
  /** The padded length of its rows. */
  readonly length: number;
  /** The shape of one row for each input that follows the rows. */
  readonly rowSpecs: readonly TensorSpec[];
  /** Other micro-batches that it stands for have so many times its tokens, at most. */
  readonly headroom: number;
}

/**
 * The two extreme shapes of micro-batches: the longest rows, and the most rows, at the greatest length at which there are so many. A tensor's
 * size grows with the rows and with powers of the length, so none is larger in any shape between them, but for the rounding of rows, which
 * `headroom` makes good. `longestSpecs` is the shape of the longest row, `openSpecs` has `null` for the ragged dimensions.
 */
export function extremeShapes(
  { lengths, microBatch }: { readonly lengths?: LengthPlan | undefined; readonly microBatch: number },
  longestSpecs: readonly TensorSpec[],
  openSpecs: readonly TensorSpec[],
): readonly [longest: MicroBatchShape, most: MicroBatchShape] {
  if (!lengths)
    throw new TandemError('TANDEM_INTERNAL', 'rows that differ in length were given to a plan without lengths');
  const { shortest, longest, multiple, padded, tokens } = lengths;
  const shapeOf = (rows: number, length: number): MicroBatchShape => ({
    ...{ rows, length },
    rowSpecs: specsAt(longestSpecs, openSpecs, length),
    headroom: Math.max(1, Math.min(tokens, microBatch * longest) / (rows * Math.max(1, length))),
  });
  const most = rowsAt(lengths, microBatch, shortest);
  const step = padded ? multiple : 1;
  const upTo = Math.floor(tokens / most / step) * step;
  const length = Math.min(longest, Math.max(shortest, upTo));
  return [shapeOf(rowsAt(lengths, microBatch, longest), longest), shapeOf(most, length)];
}

/** The largest row of this length: no ragged dimension is longer. */
export function specsAt(
  longestSpecs: readonly TensorSpec[],
  openSpecs: readonly TensorSpec[],
  length: number,
): TensorSpec[] {
  return longestSpecs.map((spec, n) => {
    const open = openSpecs[n]!.shape;
    return { ...spec, shape: spec.shape.map((dim, axis) => (open[axis] === null ? Math.min(dim!, length) : dim)) };
  });
}
