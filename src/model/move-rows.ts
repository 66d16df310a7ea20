/** Rows inside a tensor with any rows' axis: moved to the front and back, selected, split and joined. */
import { allocate, type Shape, type Tensor, type TypedArray } from '../tensor.js';

/** The axis of the dimension that depends on the rows; `null` if there is none, or several. */
export function rowsAxisIn(shape: Shape): number | null {
  const axis = shape.indexOf(null);
  return axis < 0 || shape.indexOf(null, axis + 1) >= 0 ? null : axis;
}

/** The shape of so many rows of `row`, with the rows at `axis`. */
export function shapeOfRows(row: readonly number[], axis: number, rows: number): number[] {
  return row.toSpliced(axis, 0, rows);
}

/** A tensor as (outer, rows, inner) elements around its rows' axis. */
interface Around {
  readonly outer: number;
  readonly rows: number;
  readonly inner: number;
}

function around(shape: readonly number[], axis: number): Around {
  const product = (dims: readonly number[]) => dims.reduce((size, dim) => size * dim, 1);
  return { outer: product(shape.slice(0, axis)), rows: shape[axis]!, inner: product(shape.slice(axis + 1)) };
}

/** Copies `count` rows of `from`, from row `at` on, into `to` from row `place` on. Their rows' axes may differ. */
function copyRows(
  from: { data: TypedArray; around: Around; isFirst: boolean },
  at: number,
  to: { data: TypedArray; around: Around; isFirst: boolean },
  place: number,
  count: number,
): void {
  const { outer, inner } = from.around;
  const offset = ({ around: { rows }, isFirst }: typeof from, row: number, o: number) =>
    isFirst ? (row * outer + o) * inner : (o * rows + row) * inner;
  // Elements of one type on both sides.
  const source = from.data as Float32Array;
  const target = to.data as Float32Array;
  const block = from.isFirst === to.isFirst && !from.isFirst ? count : 1;
  for (let row = 0; row < count; row += block) {
    for (let o = 0; o < outer; o++) {
      const begin = offset(from, at + row, o);
      const into = offset(to, place + row, o);
      if (inner * block > 8) target.set(source.subarray(begin, begin + inner * block), into);
      else for (let n = 0; n < inner * block; n++) target[into + n] = source[begin + n]!;
    }
  }
}

/** `tensor` with the rows' axis in front: itself if it already is, else a copy, in `into` if that is given and large enough. */
export function rowsFirst(tensor: Tensor, axis: number, into?: TypedArray): Tensor {
  if (axis === 0) return tensor;
  const { dtype, shape } = tensor;
  const moved = [shape[axis]!, ...shape.toSpliced(axis, 1)];
  const data =
    into && into.length >= tensor.data.length ? into.subarray(0, tensor.data.length) : allocate(dtype, moved);
  const whole = around(shape, axis);
  copyRows(
    { data: tensor.data, around: whole, isFirst: false },
    0,
    { data: data as TypedArray, around: whole, isFirst: true },
    0,
    whole.rows,
  );
  return { dtype, shape: moved, data: data as TypedArray };
}

/** The first `rows` rows of `first`, whose rows' axis is in front, into `data` with the rows at `axis`. Returns the shape that `data` then has. */
export function rowsInto(first: Tensor, axis: number, rows: number, data: TypedArray): number[] {
  const [, ...row] = first.shape;
  const shape = shapeOfRows(row, axis, rows);
  const whole = around(shape, axis);
  copyRows({ data: first.data, around: whole, isFirst: true }, 0, { data, around: whole, isFirst: false }, 0, rows);
  return shape;
}

/** `count` rows of `tensor`, from row `at` on, in private memory: because engines need aligned inputs. */
export function takeRows({ dtype, shape, data }: Tensor, axis: number, at: number, count: number): Tensor {
  const taken = shape.with(axis, count);
  const part = { dtype, shape: taken, data: allocate(dtype, taken) };
  const to = { data: part.data, around: around(taken, axis), isFirst: false };
  copyRows({ data, around: around(shape, axis), isFirst: false }, at, to, 0, count);
  return part;
}

/** Copies all rows of `part` into `whole` from row `place` on; the other dimensions are the same. */
export function putRows(part: Tensor, whole: Tensor, axis: number, place: number): void {
  const from = { data: part.data, around: around(part.shape, axis), isFirst: false };
  const to = { data: whole.data, around: around(whole.shape, axis), isFirst: false };
  copyRows(from, 0, to, place, part.shape[axis]!);
}

/** `values` in the rows `kept`, and zeros in all others. */
export function keepRows({ data, shape }: Tensor, axis: number, values: TypedArray, kept: readonly number[]): void {
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength).fill(0);
  const whole = around(shape, axis);
  const from = { data: values, around: whole, isFirst: false };
  for (const row of kept) copyRows(from, row, { data, around: whole, isFirst: false }, row, 1);
}

/** `rows` times the one row of `tensor`. */
export function repeatRow(tensor: Tensor, axis: number, rows: number): Tensor {
  if (tensor.shape[axis] === rows) return tensor;
  const shape = tensor.shape.with(axis, rows);
  const tiled = { dtype: tensor.dtype, shape, data: allocate(tensor.dtype, shape) };
  const one = takeRows(tensor, axis, 0, 1);
  for (let row = 0; row < rows; row++) putRows(one, tiled, axis, row);
  return tiled;
}
