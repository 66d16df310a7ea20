/** Values of Arrow columns as values of records: nothing is rounded, and what JSON has no form for is text. */
import type { DataType, Vector } from 'apache-arrow';
import type { Value } from '../record.js';
import type { Arrow } from './arrow-library.js';

const UNITS = ['s', 'ms', 'us', 'ns'] as const;
/** Digits after the point of a second. */
const DIGITS = { s: 0, ms: 3, us: 6, ns: 9 } as const;
const PRECISIONS = ['float16', 'float32', 'float64'] as const;
const DAY_MS = 86_400_000;

/** As a person would name it; `null` for a type that is not read. */
export function typeName(arrow: Arrow, type: DataType): string | null {
  const { DataType: is } = arrow;
  if (is.isDictionary(type)) return typeName(arrow, type.dictionary);
  if (is.isNull(type)) return 'null';
  if (is.isBool(type)) return 'bool';
  if (is.isInt(type)) return `${type.isSigned ? 'int' : 'uint'}${type.bitWidth}`;
  if (is.isFloat(type)) return PRECISIONS[type.precision]!;
  if (is.isUtf8(type) || is.isLargeUtf8(type) || is.isUtf8View(type)) return 'string';
  if (is.isBinary(type) || is.isLargeBinary(type) || is.isBinaryView(type) || is.isFixedSizeBinary(type))
    return 'binary';
  if (is.isDecimal(type)) return `decimal(${type.precision}, ${type.scale})`;
  if (is.isDate(type)) return 'date';
  if (is.isTime(type)) return `time[${UNITS[type.unit]}]`;
  if (is.isTimestamp(type)) return `timestamp[${UNITS[type.unit]}${type.timezone ? `, ${type.timezone}` : ''}]`;
  if (is.isDuration(type)) return `duration[${UNITS[type.unit]}]`;
  if (is.isMap(type)) return 'map';
  if (is.isList(type) || is.isLargeList(type) || is.isFixedSizeList(type)) {
    const inner = typeName(arrow, type.children[0]!.type);
    return inner && `list<${inner}>`;
  }
  if (is.isStruct(type)) return type.children.every((field) => typeName(arrow, field.type) !== null) ? 'struct' : null;
  return null;
}

/** The value at `index` of a vector of one chunk. */
export function valueAt(arrow: Arrow, vector: Vector, index: number): Value {
  const { DataType: is } = arrow;
  const { type } = vector;
  const data = vector.data[0]!;
  if (is.isDictionary(type)) {
    if (!vector.isValid(index)) return null;
    return valueAt(arrow, data.dictionary!, Number(data.values[index]));
  }
  if (is.isNull(type) || !vector.isValid(index)) return null;
  if (is.isInt(type)) return type.bitWidth === 64 ? plain(data.values[index]) : vector.get(index);
  if (is.isTimestamp(type)) return instant(BigInt(data.values[index]), UNITS[type.unit]!, type.timezone ?? null);
  if (is.isTime(type)) return clock(BigInt(data.values[index]), UNITS[type.unit]!);
  if (is.isDuration(type)) return plain(BigInt(data.values[index]));
  if (is.isDate(type)) return day(type.unit === 0 ? Number(data.values[index]) * DAY_MS : Number(data.values[index]));
  if (is.isDecimal(type)) return decimal(vector.get(index) as Uint32Array, type.scale);
  if (is.isMap(type)) return pairs(arrow, vector, index);
  if (is.isList(type) || is.isLargeList(type) || is.isFixedSizeList(type))
    return list(arrow, vector.get(index) as Vector);
  if (is.isStruct(type)) return members(arrow, vector, index);
  const value = vector.get(index) as Value;
  return value instanceof Uint8Array ? value.slice() : value;
}

function plain(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** Numbers without a null among them as a typed array of their type. */
function list(arrow: Arrow, vector: Vector): Value {
  const { DataType: is } = arrow;
  const isNumeric = is.isInt(vector.type) || (is.isFloat(vector.type) && vector.type.precision > 0);
  if (isNumeric && vector.nullCount === 0 && vector.data.length === 1) {
    const values = vector.toArray().slice(0, vector.length);
    return values instanceof Uint8Array ? Array.from(values) : values;
  }
  return Array.from({ length: vector.length }, (_, n) => valueAt(arrow, vector, n));
}

function members(arrow: Arrow, vector: Vector, index: number): Value {
  const found: Record<string, Value> = Object.create(null);
  for (const [n, { name }] of vector.type.children.entries()) {
    found[name] = valueAt(arrow, vector.getChildAt(n)!, index);
  }
  return found;
}

/** `[[key, value], …]`: keys may be of any type, and may be there twice. */
function pairs(arrow: Arrow, vector: Vector, index: number): Value {
  const { valueOffsets, children } = vector.data[0]!;
  const entries = arrow.makeVector(children[0]!);
  const [keys, values] = [entries.getChildAt(0)!, entries.getChildAt(1)!];
  const found: Value[] = [];
  for (let n = Number(valueOffsets[index]); n < Number(valueOffsets[index + 1]); n++) {
    found.push([valueAt(arrow, keys, n), valueAt(arrow, values, n)]);
  }
  return found;
}

function decimal(words: Uint32Array, scale: number): string {
  const bits = BigInt(words.length * 32);
  const whole = BigInt.asIntN(
    Number(bits),
    words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n),
  );
  const digits = String(whole < 0n ? -whole : whole).padStart(scale + 1, '0');
  const text = scale > 0 ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits + '0'.repeat(-scale);
  return whole < 0n ? `-${text}` : text;
}

function day(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/T.*/, '');
}

/** ISO 8601 with all digits; `Z` where the column has a time zone, since the value is then in UTC. */
function instant(value: bigint, unit: (typeof UNITS)[number], zone: string | null): string {
  const perSecond = 10n ** BigInt(DIGITS[unit]);
  const fraction = ((value % perSecond) + perSecond) % perSecond;
  const seconds = (value - fraction) / perSecond;
  const text = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
  const digits = DIGITS[unit] > 0 ? `.${String(fraction).padStart(DIGITS[unit], '0')}` : '';
  return `${text}${digits}${zone === null ? '' : 'Z'}`;
}

function clock(value: bigint, unit: (typeof UNITS)[number]): string {
  return instant(value, unit, null).replace(/^.*T/, '');
}
