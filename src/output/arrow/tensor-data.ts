/** Outputs of a model as Arrow data: a number for each row, or a list, or lists of lists. A failed row is null. */
import type { Data, DataType } from 'apache-arrow';
import { TandemError } from '../../errors.js';
import type { Arrow } from '../../rows/arrow/arrow-library.js';
import type { DType, Tensor, TypedArray } from '../../tensor.js';
import { bitmapOf, bitsOf } from './column-data.js';

/** `places`: for each row its place in the output, `null` for a failed row. The output is (good rows, ...). */
export function tensorData(
  arrow: Arrow,
  name: string,
  tensor: Tensor,
  places: readonly (number | null)[],
): Data<DataType> {
  const [, ...dims] = tensor.shape;
  const elements = dims.reduce((product, dim) => product * dim, 1);
  const rows = places.flatMap((place) =>
    place === null ? [] : [tensor.data.subarray(place * elements, (place + 1) * elements)],
  );
  if (dims.length === 0) return scalars(arrow, name, tensor, places);
  return listOf(arrow, name, tensor.dtype, rows, dims.length, places, () => dims);
}

/** Rows of shapes of their own, each without the rows' axis; all of the same rank. */
export function raggedData(
  arrow: Arrow,
  name: string,
  tensors: readonly Tensor[],
  places: readonly (number | null)[],
): Data<DataType> {
  const good = places.flatMap((place) => (place === null ? [] : [tensors[place]!]));
  const { dtype, shape } = tensors[0] ?? { dtype: 'float32' as const, shape: [0] };
  const rows = good.map(({ data }) => data);
  return listOf(arrow, name, dtype, rows, shape.length, places, (row) => good[row]!.shape as readonly number[]);
}

function listOf(
  arrow: Arrow,
  name: string,
  dtype: DType,
  rows: readonly TypedArray[],
  rank: number,
  places: readonly (number | null)[],
  dimsOf: (row: number) => readonly number[],
): Data<DataType> {
  let child = primitive(arrow, name, dtype, joined(rows));
  for (let axis = rank - 1; axis > 0; axis--) {
    const lengths = rows.flatMap((_, row) => {
      const dims = dimsOf(row);
      return new Array<number>(dims.slice(0, axis).reduce((product, dim) => product * dim, 1)).fill(dims[axis]!);
    });
    child = list(arrow, child, lengths, { length: lengths.length, nullCount: 0, nullBitmap: null });
  }
  let good = 0;
  const lengths = places.map((place) => (place === null ? 0 : dimsOf(good++)[0]!));
  return list(arrow, child, lengths, { length: places.length, ...bitmapOf(places) });
}

function scalars(
  arrow: Arrow,
  name: string,
  { dtype, data }: Tensor,
  places: readonly (number | null)[],
): Data<DataType> {
  const values = new (data.constructor as new (length: number) => Float32Array)(places.length);
  for (const [row, place] of places.entries()) if (place !== null) values[row] = data[place] as number;
  return primitive(arrow, name, dtype, values, bitmapOf(places));
}

function primitive(
  arrow: Arrow,
  name: string,
  dtype: DType,
  data: TypedArray,
  nulls: { nullCount: number; nullBitmap: Uint8Array | null } = { nullCount: 0, nullBitmap: null },
): Data<DataType> {
  const base = { length: data.length, ...nulls };
  if (dtype === 'bool') return arrow.makeData({ ...base, type: new arrow.Bool(), data: bitsOf(data) }) as never;
  return arrow.makeData({ ...base, type: typeOf(arrow, name, dtype), data } as never);
}

function typeOf(arrow: Arrow, name: string, dtype: Exclude<DType, 'bool'>): DataType {
  switch (dtype) {
    case 'float16':
      return new arrow.Float16();
    case 'float32':
      return new arrow.Float32();
    case 'float64':
      return new arrow.Float64();
    case 'bfloat16':
      throw new TandemError('TANDEM_OUTPUT_UNSUPPORTED', `output "${name}" is bfloat16, which tables do not have`, {
        remedy: 'write JSON lines: name the output .jsonl',
      });
    default:
      return new arrow[`${dtype[0]!.toUpperCase()}${dtype.slice(1)}` as 'Int8']();
  }
}

function list(
  arrow: Arrow,
  child: Data<DataType>,
  lengths: readonly number[],
  base: { length: number; nullCount: number; nullBitmap: Uint8Array | null },
): Data<DataType> {
  const valueOffsets = new Int32Array(lengths.length + 1);
  for (const [n, length] of lengths.entries()) valueOffsets[n + 1] = valueOffsets[n]! + length;
  const type = new arrow.List(new arrow.Field('item', child.type, true));
  return arrow.makeData({ ...base, type, valueOffsets, child }) as never;
}

function joined(rows: readonly TypedArray[]): TypedArray {
  const [first] = rows;
  const Whole = (first?.constructor ?? Float32Array) as new (length: number) => Float32Array;
  const whole = new Whole(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    whole.set(row as Float32Array, at);
    at += row.length;
  }
  return whole;
}
