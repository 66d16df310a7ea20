/** The element types that embeddings can be given in, and what becomes of their values. */
import { FLOAT16, toWord } from '../../rows/half-float.js';
import type { DType } from '../../tensor.js';

export const ELEMENT_TYPES = ['f32', 'f16', 'int8', 'uint8', 'binary'] as const;
export type ElementType = (typeof ELEMENT_TYPES)[number];

const DTYPES: Readonly<Record<ElementType, DType>> = {
  f32: 'float32',
  f16: 'float16',
  int8: 'int8',
  uint8: 'uint8',
  binary: 'uint8',
};

export function dtypeOf(type: ElementType): DType {
  return DTYPES[type];
}

/** Elements of an embedding of `dims` numbers. */
export function elementsOf(type: ElementType, dims: number): number {
  return type === 'binary' ? Math.ceil(dims / 8) : dims;
}

/**
 * The embedding in another type, into zeros. int8 and uint8 scale each embedding by its largest magnitude, to -127…127 (uint8: 128 more), so that a row does not
 * depend on others and the cosine stays; binary has one bit for each number, 1 above 0, the first in the highest bit, as numpy.packbits writes it.
 */
export function encode(embedding: Float64Array, type: ElementType, into: { [n: number]: number }): void {
  switch (type) {
    case 'f32':
      for (const [n, value] of embedding.entries()) into[n] = value;
      break;
    case 'f16':
      for (const [n, value] of embedding.entries()) into[n] = toWord(value, FLOAT16);
      break;
    case 'binary':
      for (const [n, value] of embedding.entries()) if (value > 0) into[n >> 3]! |= 0x80 >> (n & 7);
      break;
    default:
      scaled(embedding, into, type === 'uint8' ? 128 : 0);
  }
}

function scaled(embedding: Float64Array, data: { [n: number]: number }, zero: number): void {
  let largest = 0;
  for (const value of embedding) largest = Math.max(largest, Math.abs(value));
  for (const [n, value] of embedding.entries()) {
    data[n] = Math.round(largest === 0 ? 0 : (value / largest) * 127) + zero;
  }
}
