/** The outputs of rows without a task: each row without the padding of its micro-batch. */
import type { OutputLength } from '../../pipeline/warm-up.js';
import type { Finish, RaggedRow, RowsOutput } from '../../rows/ragged-source.js';
import { allocate, type Tensor, type TensorSpec, type TypedArray } from '../../tensor.js';
import { eachRun } from './corner.js';
import { sizeOf } from './row-size.js';

/** `lengths` by public name of the output. Outputs that do not depend on the length stay as they are. */
export function trimming(
  lengths: ReadonlyMap<string, OutputLength>,
  specs: readonly TensorSpec[],
  padded: boolean,
): Finish {
  return (outputs, rows) =>
    new Map(
      [...outputs].map(([name, tensor]): [string, RowsOutput] => {
        const { follows, varies } = lengths.get(name) ?? { follows: [], varies: false };
        if (follows.length === 0 && !varies) return [name, tensor];
        const trimmed = padded ? new Set(follows) : new Set<number>();
        return [name, rows.map((row, place) => rowOf(tensor, place, trimmed, row, specs))];
      }),
    );
}

/** A copy of one row, as long as the row is. */
function rowOf(
  { dtype, shape, data }: Tensor,
  place: number,
  trimmed: ReadonlySet<number>,
  row: RaggedRow,
  specs: readonly TensorSpec[],
): Tensor {
  const [, ...room] = shape;
  const elements = room.reduce((count, dim) => count * dim, 1);
  const values = data.subarray(place * elements, (place + 1) * elements) as TypedArray;
  const { length } = sizeOf(row, specs);
  const own = room.map((dim, axis) => (trimmed.has(axis) ? Math.min(dim, length) : dim));
  const copy = { dtype, shape: own, data: allocate(dtype, own) };
  eachRun(room, own, (from, at, count) => {
    (copy.data as Float32Array).set(values.subarray(from, from + count) as Float32Array, at);
  });
  return copy;
}
