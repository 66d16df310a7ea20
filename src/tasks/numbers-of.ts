/** The values of floating-point tensors as numbers. */
import { BFLOAT16, FLOAT16, fromWord } from '../rows/half-float.js';
import type { DType, TypedArray } from '../tensor.js';

/** As they lie there where they are numbers already. */
export function numbersOf(data: TypedArray, dtype: DType): ArrayLike<number> {
  if (dtype === 'float16') return Float64Array.from(data as Uint16Array, (word) => fromWord(word, FLOAT16));
  if (dtype === 'bfloat16') return Float64Array.from(data as Uint16Array, (word) => fromWord(word, BFLOAT16));
  return data as Float32Array;
}
