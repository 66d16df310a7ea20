/** How long a ragged row is, and the shapes that its micro-batch has. */
import type { RaggedRow } from '../../rows/ragged-source.js';
import type { TensorSpec } from '../../tensor.js';
import type { RowSize } from './batches.js';

/** `specs` as of the source. */
export function sizeOf({ tensors }: RaggedRow, specs: readonly TensorSpec[]): RowSize {
  const ragged = specs.map(({ shape }, n) => tensors[n]!.shape.filter((_, axis) => shape[axis] === null));
  return { length: Math.max(0, ...ragged.flat()), shape: ragged.join(';') };
}

/** The shape of one row for each input in a micro-batch of these rows: `length` along ragged axes, or the rows' own shape without padding. */
export function shapesOf(
  specs: readonly TensorSpec[],
  { tensors }: RaggedRow,
  length: number,
  padded: boolean,
): readonly (readonly number[])[] {
  return specs.map(({ shape }, n) => shape.map((dim, axis) => dim ?? (padded ? length : tensors[n]!.shape[axis]!)));
}
