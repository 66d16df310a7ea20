/** Checks that floats are finite: neither NaN nor an infinity. Input rows and results use the same check. */
import type { DType, Tensor, TypedArray } from '../tensor.js';
import { BFLOAT16, FLOAT16, infinityWord, type MiniFloat } from './half-float.js';

/** Whether each of the first `count` elements is a finite number; true for integer types and bool. */
export function allFinite(dtype: DType, data: TypedArray, count = data.length): boolean {
  if (dtype === 'float32' || dtype === 'float64') return areFinite(data as Float32Array | Float64Array, count);
  const type = miniFloatOf(dtype);
  return type === null || areFiniteWords(data as Uint16Array, count, type);
}

/** The layout of a 16-bit float `dtype`, or `null` for other types. */
export function miniFloatOf(dtype: DType): MiniFloat | null {
  if (dtype === 'float16') return FLOAT16;
  return dtype === 'bfloat16' ? BFLOAT16 : null;
}

/** A finite number times zero is zero; NaN and infinities give NaN. The branch-free sum is twice as fast as a test per element. */
function areFinite(data: Float32Array | Float64Array, count: number): boolean {
  let sum = 0;
  for (let n = 0; n < count; n++) sum += data[n]! * 0;
  return sum === 0;
}

function areFiniteWords(data: Uint16Array, count: number, type: MiniFloat): boolean {
  const infinity = infinityWord(type);
  for (let n = 0; n < count; n++) if ((data[n]! & 0x7fff) >= infinity) return false;
  return true;
}

/** The indexes, below `rows`, of the rows that have a value that is not finite in any of the outputs. */
export function nonFiniteRows(outputs: Iterable<Tensor>, rows: number): Set<number> {
  const found = new Set<number>();
  for (const { dtype, data } of outputs) {
    if (allFinite(dtype, data)) continue;
    const elements = data.length / rows;
    for (let n = 0; n < rows; n++) {
      const row = data.subarray(n * elements, (n + 1) * elements);
      if (!allFinite(dtype, row)) found.add(n);
    }
  }
  return found;
}
