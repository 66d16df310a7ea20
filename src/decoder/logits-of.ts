/** A row's logits as float32. */
import { TandemError } from '../errors.js';
import { FLOAT16, fromWord } from '../rows/half-float.js';
import type { Tensor } from '../tensor.js';

/** Row `row` of [rows, vocabulary]; a view where the model computes in float32. */
export function logitsOf({ dtype, data }: Tensor, row: number, vocabulary: number): Float32Array {
  const values = data.subarray(row * vocabulary, (row + 1) * vocabulary);
  if (values instanceof Float32Array) return values;
  if (dtype === 'float16') return Float32Array.from(values as Uint16Array, (word) => fromWord(word, FLOAT16));
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `the logits are ${dtype}; they must be float32 or float16`);
}
