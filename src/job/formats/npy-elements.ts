/** Elements of an array as they lie in a file, made into elements of a model's input: byte order, type, and what no input may hold. */
import type { DType, TypedArray } from '../../tensor.js';
import { bytesOf } from '../../tensor.js';
import { BFLOAT16, FLOAT16, fromWord, isNaNWord, type MiniFloat } from './mini-float.js';
import type { RowFaultCode } from './row-fault.js';

/** Told of each element that makes its row unusable, by its position in the target; `what` reads on after its name. */
export type Report = (at: number, code: RowFaultCode, what: string) => void;

/** Put `source` into `target` from `at` on. */
export type Convert = (source: TypedArray, target: TypedArray, at: number, report: Report) => void;

/** Turns the bytes of every element round, in place; files are mostly little endian, and so is every machine that an engine runs on. */
export function swapBytes(data: TypedArray): void {
  const bytes = bytesOf(data);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (data.BYTES_PER_ELEMENT === 2) buffer.swap16();
  else if (data.BYTES_PER_ELEMENT === 4) buffer.swap32();
  else if (data.BYTES_PER_ELEMENT === 8) buffer.swap64();
}

/** How a type of a file becomes another one; `isAccepted` has said that it may. */
export function converter(from: DType, to: DType): Convert {
  if (from === 'int64') return int64ToInt32;
  if (from === 'float16') return float16ToFloat;
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

const float16ToFloat: Convert = (source, target, at) => {
  for (let n = 0; n < source.length; n++) target[at + n] = fromWord(source[n] as number, FLOAT16);
};

const integerToBigInt: Convert = (source, target, at) => {
  for (let n = 0; n < source.length; n++) target[at + n] = BigInt(source[n]!);
};

/** Reports what `data[0 … count)` must not hold: NaN in floats, other bytes than 0 and 1 in bools. Infinities are values. */
export function scanElements(dtype: DType, data: TypedArray, count: number, report: Report): void {
  if (dtype === 'float32' || dtype === 'float64') scanFloats(data as Float32Array | Float64Array, count, report);
  else if (dtype === 'float16') scanWords(data as Uint16Array, count, FLOAT16, report);
  else if (dtype === 'bfloat16') scanWords(data as Uint16Array, count, BFLOAT16, report);
  else if (dtype === 'bool') scanBools(data as Uint8Array, count, report);
}

function scanFloats(data: Float32Array | Float64Array, count: number, report: Report): void {
  for (let n = 0; n < count; n++) if (Number.isNaN(data[n])) report(n, 'TANDEM_ROW_NOT_FINITE', 'is NaN');
}

function scanWords(data: Uint16Array, count: number, type: MiniFloat, report: Report): void {
  for (let n = 0; n < count; n++) if (isNaNWord(data[n]!, type)) report(n, 'TANDEM_ROW_NOT_FINITE', 'is NaN');
}

function scanBools(data: Uint8Array, count: number, report: Report): void {
  for (let n = 0; n < count; n++) {
    if (data[n]! > 1) report(n, 'TANDEM_ROW_TYPE', `is the byte ${data[n]}, where a bool is 0 or 1`);
  }
}
