/** Writes values of records as JSON text: floats of 32 bits shortest, 64-bit integers with all digits, bytes as base64. */
import type { Value } from '../../rows/record.js';
import type { DType, TypedArray } from '../../tensor.js';
import { TEXT_OF } from './number-text.js';

const DTYPE_OF: ReadonlyMap<unknown, DType> = new Map<unknown, DType>([
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
  [Int8Array, 'int8'],
  [Int16Array, 'int16'],
  [Int32Array, 'int32'],
  [Uint8ClampedArray, 'uint8'],
  [Uint16Array, 'uint16'],
  [Uint32Array, 'uint32'],
  [BigInt64Array, 'int64'],
  [BigUint64Array, 'uint64'],
]);

/** Not finite numbers are the strings "NaN", "Infinity" and "-Infinity", as in results. */
export function valueText(value: Value): string {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'bigint':
      return String(value);
    case 'number':
      return numberText(value);
    case 'undefined':
      return 'null';
  }
  if (value === null) return 'null';
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) return `[${value.map(valueText).join(',')}]`;
  const dtype = DTYPE_OF.get(value.constructor);
  if (dtype) return listText(value as TypedArray, dtype);
  const members = Object.entries(value as { readonly [key: string]: Value });
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${valueText(member)}`).join(',')}}`;
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? '-0' : String(value);
}

function listText(list: TypedArray, dtype: DType): string {
  const textOf = TEXT_OF[dtype];
  return `[${Array.from({ length: list.length }, (_, n) => textOf(list, n)).join(',')}]`;
}
