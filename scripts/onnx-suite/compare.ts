/** Compares two tensors, to the bit or with the tolerance of ONNX's backend runner. */
import { bytesOf, type Tensor, type TypedArray } from '../../src/tensor.js';

/** Allowed difference: |a - b| <= absolute + relative |b|. */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/** The tolerance of ONNX's backend runner. */
export const RUNNER: Tolerance = { relative: 1e-3, absolute: 1e-7 };

export type Likeness = 'same' | 'close' | 'different';

/** `same` to the bit; `close` within the tolerance element by element, NaN equal to NaN. */
export function compare(a: Tensor, b: Tensor, { relative, absolute } = RUNNER): Likeness {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return 'different';
  if (Buffer.compare(bytesOf(a.data), bytesOf(b.data)) === 0) return 'same';
  const left = numbersOf(a);
  const right = numbersOf(b);
  for (let i = 0; i < left.length; i++) {
    const x = Number(left[i]);
    const y = Number(right[i]);
    if (Object.is(x, y) || x === y) continue;
    if (!(Math.abs(x - y) <= absolute + relative * Math.abs(y))) return 'different';
  }
  return 'close';
}

/** The largest difference of two tensors of one shape; 0 for types that cannot be subtracted. */
export function distance(a: Tensor, b: Tensor): number {
  const left = numbersOf(a);
  const right = numbersOf(b);
  let most = 0;
  for (let i = 0; i < left.length; i++) most = Math.max(most, Math.abs(Number(left[i]) - Number(right[i])) || 0);
  return most;
}

function numbersOf({ dtype, data }: Tensor): TypedArray {
  return dtype === 'float16' ? Float32Array.from(data as Uint16Array, fromHalf) : data;
}

/** Converts 16 bits of half precision to a number. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
