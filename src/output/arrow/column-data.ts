/** Columns of values as Arrow data, by the name of their type. A type that is not built is text: strings as they are, everything else as JSON. */
import type { Data, DataType } from 'apache-arrow';
import type { Arrow } from '../../rows/arrow/arrow-library.js';
import type { Value } from '../../rows/record.js';
import { valueText } from '../json/value-text.js';

const DAY_MS = 86_400_000;
const UNITS = ['s', 'ms', 'us', 'ns'];

/** Of each value whether it is there, as bits; `null` where all are. */
export function bitmapOf(values: readonly unknown[]): { nullCount: number; nullBitmap: Uint8Array | null } {
  const bits = bitsOf(values.map((value) => value !== null && value !== undefined));
  const nullCount = values.reduce<number>((count, value) => count + Number(value === null || value === undefined), 0);
  return { nullCount, nullBitmap: nullCount > 0 ? bits : null };
}

export function bitsOf(flags: ArrayLike<unknown>): Uint8Array {
  const bits = new Uint8Array(Math.ceil(flags.length / 8));
  for (let n = 0; n < flags.length; n++) if (flags[n]) bits[n >> 3]! |= 1 << (n & 7);
  return bits;
}

/** One value for each row. */
export function columnData(arrow: Arrow, type: string, values: readonly Value[]): Data<DataType> {
  const { nullCount, nullBitmap } = bitmapOf(values);
  const base = { length: values.length, nullCount, nullBitmap };
  const inner = /^list<(.*)>$/.exec(type)?.[1];
  if (inner !== undefined) {
    const lists = values.map((value) =>
      value === null || value === undefined ? [] : Array.from(value as ArrayLike<Value>),
    );
    const child = columnData(arrow, inner, lists.flat());
    const list = new arrow.List(new arrow.Field('item', child.type, true));
    return arrow.makeData({ ...base, type: list, valueOffsets: offsetsOf(lists), child }) as never;
  }
  const number = numbersOf(arrow, type, values);
  if (number) return arrow.makeData({ ...base, ...number } as never);
  if (type === 'bool') return arrow.makeData({ ...base, type: new arrow.Bool(), data: bitsOf(values) }) as never;
  const isBytes = type === 'binary';
  const parts = values.map((value) => (isBytes ? bytesOf(value) : Buffer.from(textOf(value))));
  const bytes = { ...base, valueOffsets: offsetsOf(parts), data: Buffer.concat(parts) };
  return arrow.makeData({ ...bytes, type: isBytes ? new arrow.Binary() : new arrow.Utf8() } as never);
}

function numbersOf(arrow: Arrow, type: string, values: readonly Value[]): { type: DataType; data: unknown } | null {
  const numbers = <T>(array: new (length: number) => T & { [n: number]: number }) => {
    const data = new array(values.length);
    for (const [n, value] of values.entries()) data[n] = Number(value ?? 0);
    return data;
  };
  const longs = <T extends BigInt64Array | BigUint64Array>(data: T, of: (value: Value) => bigint): T => {
    for (const [n, value] of values.entries()) data[n] = value === null || value === undefined ? 0n : of(value);
    return data;
  };
  const long = (value: Value) => BigInt(value as number);
  switch (type) {
    case 'int8':
      return { type: new arrow.Int8(), data: numbers(Int8Array) };
    case 'int16':
      return { type: new arrow.Int16(), data: numbers(Int16Array) };
    case 'int32':
      return { type: new arrow.Int32(), data: numbers(Int32Array) };
    case 'uint8':
      return { type: new arrow.Uint8(), data: numbers(Uint8Array) };
    case 'uint16':
      return { type: new arrow.Uint16(), data: numbers(Uint16Array) };
    case 'uint32':
      return { type: new arrow.Uint32(), data: numbers(Uint32Array) };
    case 'float16':
    case 'float32':
      return { type: new arrow.Float32(), data: numbers(Float32Array) };
    case 'float64':
      return { type: new arrow.Float64(), data: numbers(Float64Array) };
    case 'int64':
      return { type: new arrow.Int64(), data: longs(new BigInt64Array(values.length), long) };
    case 'uint64':
      return { type: new arrow.Uint64(), data: longs(new BigUint64Array(values.length), long) };
    case 'date': {
      const days = Int32Array.from(values, (value) => (value ? Date.parse(`${value}T00:00:00Z`) / DAY_MS : 0));
      return { type: new arrow.DateDay(), data: days };
    }
  }
  const [, unit, zone] = /^timestamp\[(s|ms|us|ns)(?:, (.+))?\]$/.exec(type) ?? [];
  if (unit === undefined) return null;
  const stamp = new arrow.Timestamp(UNITS.indexOf(unit), zone ?? null);
  return { type: stamp, data: longs(new BigInt64Array(values.length), (value) => instantOf(String(value), unit)) };
}

/** The other way round from what `valueAt` makes of a timestamp. */
function instantOf(text: string, unit: string): bigint {
  const digits = 3 * UNITS.indexOf(unit);
  const [whole, fraction = ''] = text.replace(/Z$/, '').split('.') as [string, string?];
  return BigInt(Date.parse(`${whole}Z`) / 1000) * 10n ** BigInt(digits) + BigInt(fraction.padEnd(digits, '0') || 0);
}

function textOf(value: Value): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : valueText(value);
}

function bytesOf(value: Value): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}

function offsetsOf(parts: readonly { readonly length: number }[]): Int32Array {
  const offsets = new Int32Array(parts.length + 1);
  for (const [n, { length }] of parts.entries()) offsets[n + 1] = offsets[n]! + length;
  return offsets;
}
