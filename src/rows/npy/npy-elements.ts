/** Converts elements of a file's array to elements of a model's input (byte order, type), and checks for values that no input may hold. */
import type { DType, TypedArray } from '../../tensor.js';
import { bytesOf } from '../../tensor.js';
import { allFinite, miniFloatOf } from '../finite.js';
import { fromWord, type MiniFloat } from '../half-float.js';
import type { RowFaultCode } from '../row-fault.js';

/** Called for each element that makes its row unusable. `at` is its position in the target; the message is its path followed by `what`. */
export type Report = (at: number, code: RowFaultCode, what: string) => void;

/** Convert `source` into `target` from position `at` on. */
export type Convert = (source: TypedArray, target: TypedArray, at: number, report: Report) => void;

/** Reverses the bytes of every element, in place. Every machine that an engine runs on is little endian. */
export function swapBytes(data: TypedArray): void {
  const bytes = bytesOf(data);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.BYTES_PER_ELEMENT === 2) buffer.swap16();
  else if (data.BYTES_PER_ELEMENT === 4) buffer.swap32();
  else if (data.BYTES_PER_ELEMENT === 8) buffer.swap64();
}

/** The conversion from a file's type to a model's type; only for pairs that `isAccepted` accepts. */
export function converter(from: DType, to: DType): Convert {
  if (from === 'int64') return int64ToInt32;
  const half = miniFloatOf(from);
  if (half) return (source, target, at) => halfToFloat(source, target, at, half);
  if (from === 'float64') return float64ToFloat32;
  if (to === 'int64' || to === 'uint64') return integerToBigInt;
  return (source, target, at) => (target as Float64Array).set(source as Float64Array, at);
}

const int64ToInt32: Convert = (source, target, at, report) => {
  for (let n = 0; n < source.length; n++) {
    const value = source[n] as bigint;
    const fits = value >= -0x8000_0000n && value <= 0x7fff_ffffn;
    target[at + n] = fits ? Number(value) : 0;
    if (!fits) report(at + n, 'TANDEM_ROW_TYPE', `is ${value}, beyond the range of int32`);
  }
};

const float64ToFloat32: Convert = (source, target, at, report) => {
  for (let n = 0; n < source.length; n++) {
    const value = source[n] as number;
    target[at + n] = value;
    if (Number.isFinite(value) && !Number.isFinite(target[at + n] as number)) {
      report(at + n, 'TANDEM_ROW_NOT_FINITE', `is ${value}, too large for float32`);
    }
  }
};

function halfToFloat(source: TypedArray, target: TypedArray, at: number, type: MiniFloat): void {
  for (let n = 0; n < source.length; n++) target[at + n] = fromWord(source[n] as number, type);
}

const integerToBigInt: Convert = (source, target, at) => {
  for (let n = 0; n < source.length; n++) target[at + n] = BigInt(source[n]!);
};

/** Reports forbidden values in `data[0 … count)`: NaN and infinities in floats unless allowed, and bytes other than 0 and 1 in bools. */
export function scanElements(
  dtype: DType,
  data: TypedArray,
  count: number,
  report: Report,
  { allowNonFinite }: { readonly allowNonFinite: boolean },
): void {
  if (dtype === 'bool') scanBools(data as Uint8Array, count, report);
  else if (!allowNonFinite && !allFinite(dtype, data, count)) reportNonFinite(dtype, data, count, report);
}

function reportNonFinite(dtype: DType, data: TypedArray, count: number, report: Report): void {
  const type = miniFloatOf(dtype);
  for (let n = 0; n < count; n++) {
    const value = type ? fromWord(data[n] as number, type) : (data[n] as number);
    if (!Number.isFinite(value)) report(n, 'TANDEM_ROW_NOT_FINITE', `is ${value}`);
  }
}

function scanBools(data: Uint8Array, count: number, report: Report): void {
  for (let n = 0; n < count; n++) {
    if (data[n]! > 1) report(n, 'TANDEM_ROW_TYPE', `is the byte ${data[n]}, but a bool is 0 or 1`);
  }
}
