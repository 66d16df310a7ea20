/** Seeded numbers: the same seed gives the same bytes on every machine. */
import { allocate, type DType, elementCount, type TypedArray } from '../../tensor.js';
import { Random } from './random.js';

/** Uniform in [0, 1). */
export function seeded(seed: number): () => number {
  const random = new Random(seed);
  return () => random.next();
}

/** Values of `shape`: floats uniform in [-scale, scale), integers below `scale` (at least 2). */
export function seededValues(dtype: DType, shape: readonly number[], scale: number, random: () => number): TypedArray {
  const values = allocate(dtype, shape);
  const top = Math.max(2, scale);
  for (let i = 0; i < elementCount(shape); i++) {
    const signed = (random() * 2 - 1) * scale;
    if (values instanceof BigInt64Array || values instanceof BigUint64Array)
      values[i] = BigInt(Math.floor(random() * top));
    else if (dtype === 'float16') values[i] = toHalf(signed);
    else if (dtype === 'bool') values[i] = random() < 0.5 ? 0 : 1;
    else if (dtype === 'float32' || dtype === 'float64') values[i] = signed;
    else values[i] = dtype.startsWith('int') ? Math.round((random() * 2 - 1) * (top - 1)) : Math.floor(random() * top);
  }
  return values;
}

const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

/** The 16 bits of the nearest half-precision number; subnormal numbers become zero. */
export function toHalf(value: number): number {
  single[0] = value;
  const bits = word[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  if (exponent <= 0) return sign;
  if (exponent >= 31) return sign | 0x7c00;
  // A carry out of the fraction correctly increments the exponent.
  return sign | (((exponent << 10) | ((bits >>> 13) & 0x3ff)) + ((bits >>> 12) & 1));
}
