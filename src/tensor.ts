/** Tensors at rest: dtype, shape, bytes, and typed views over memory that somebody else owns. */
import { TandemError } from './errors.js';

/**
 * Element types that can lie in shared memory. `float16` and `bfloat16` are kept as raw 16-bit words
 * (Node 20 has no Float16Array), `bool` as one byte of 0 or 1. The index in this list is the type's number in a slot.
 */
export const DTYPES = [
  'float32',
  'int32',
  'bool',
  'uint8',
  'int8',
  'int16',
  'uint16',
  'uint32',
  'int64',
  'uint64',
  'float64',
  'float16',
  'bfloat16',
] as const;
export type DType = (typeof DTYPES)[number];

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

type TypedArrayConstructor = {
  new (length: number): TypedArray;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): TypedArray;
  BYTES_PER_ELEMENT: number;
};

const ARRAY_OF: Record<DType, TypedArrayConstructor> = {
  float32: Float32Array,
  int32: Int32Array,
  bool: Uint8Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
} as Record<DType, TypedArrayConstructor>;

/** Dimensions; `null` is one that only the rows decide (the batch, a sequence length). */
export type Shape = readonly (number | null)[];

/** What a tensor is, without its values. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Even the number of dimensions follows from the rows; the shape is then that of a tensor with nothing but rows. */
  readonly openRank?: boolean;
}

/** A tensor with values, row-major; `data` may be a view over shared memory and is then only lent. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TypedArray;
}

export function bytesPerElement(dtype: DType): number {
  return ARRAY_OF[dtype].BYTES_PER_ELEMENT;
}

/** Number of elements of a fully known shape; 1 for a scalar. Throws TANDEM_MODEL_INVALID past 2^53, where arithmetic would lie. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const dim of shape) count *= dim;
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new TandemError(
      'TANDEM_MODEL_INVALID',
      `a shape of [${shape.join(', ')}] is not a size that memory can have`,
    );
  }
  return count;
}

export function byteCount(dtype: DType, shape: readonly number[]): number {
  return elementCount(shape) * bytesPerElement(dtype);
}

/** A fresh zeroed array for `shape` in private memory. */
export function allocate(dtype: DType, shape: readonly number[]): TypedArray {
  return new ARRAY_OF[dtype](elementCount(shape));
}

/** Zeros for `rows` rows of each spec, whose shape is that of one row and known. */
export function zeroRows(rowSpecs: readonly TensorSpec[], rows: number): Tensor[] {
  return rowSpecs.map(({ dtype, shape }) => {
    const full = [rows, ...(shape as number[])];
    return { dtype, shape: full, data: allocate(dtype, full) };
  });
}

/** A view of `shape` at `byteOffset` of `buffer`; nothing is copied. */
export function viewOf(dtype: DType, shape: readonly number[], buffer: ArrayBufferLike, byteOffset: number): Tensor {
  return { dtype, shape, data: new ARRAY_OF[dtype](buffer, byteOffset, elementCount(shape)) };
}

/** The raw bytes of a typed array, as a view. */
export function bytesOf(data: TypedArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export function isDType(value: string): value is DType {
  return (DTYPES as readonly string[]).includes(value);
}

/** `float32 [?, 64, 64, 3]`: how a tensor is shown to a person. */
export function formatSpec({ dtype, shape }: { dtype: string; shape: Shape }): string {
  return `${dtype} [${shape.map((dim) => dim ?? '?').join(', ')}]`;
}
