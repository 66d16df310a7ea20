/** Converts one JSON value to one element of a tensor. A number that the type cannot hold fails its row. */
import type { DType } from '../../tensor.js';
import { BFLOAT16, FLOAT16, infinityWord, type MiniFloat, toWord } from '../half-float.js';
import type { RowFaultCode } from '../row-fault.js';

/** Why a value is not an element. The message is the path followed by `what`: `inputs.image[3] is null`. */
export interface ElementFault {
  readonly code: RowFaultCode;
  readonly what: string;
}

/** The element as stored in the tensor's array (16-bit floats as words), or the fault. */
export type Encode = (value: unknown) => number | bigint | ElementFault;

/** Strings for values that JSON cannot write. Python's bare words are read as these strings. */
const NOT_FINITE: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
]);

/** The encoder for elements of `dtype`. NaN and infinities are faults unless `allowNonFinite`. */
export function encoderOf(dtype: DType, allowNonFinite: boolean): Encode {
  switch (dtype) {
    case 'float32':
      return floatEncoder(dtype, Math.fround, allowNonFinite);
    case 'float64':
      return floatEncoder(dtype, (value) => value, allowNonFinite);
    case 'float16':
      return miniFloatEncoder(dtype, FLOAT16, allowNonFinite);
    case 'bfloat16':
      return miniFloatEncoder(dtype, BFLOAT16, allowNonFinite);
    default:
      return INTEGER_ENCODERS[dtype];
  }
}

const INTEGER_ENCODERS: Record<Exclude<DType, 'float32' | 'float64' | 'float16' | 'bfloat16'>, Encode> = {
  int8: integerEncoder('int8', -128, 127),
  int16: integerEncoder('int16', -32768, 32767),
  int32: integerEncoder('int32', -0x8000_0000, 0x7fff_ffff),
  uint8: integerEncoder('uint8', 0, 255),
  uint16: integerEncoder('uint16', 0, 65535),
  uint32: integerEncoder('uint32', 0, 0xffff_ffff),
  int64: bigIntEncoder('int64', -(2n ** 63n), 2n ** 63n - 1n),
  uint64: bigIntEncoder('uint64', 0n, 2n ** 64n - 1n),
  bool: (value) => (typeof value === 'boolean' ? Number(value) : unfit(value, 'true or false')),
};

function floatEncoder(dtype: DType, round: (value: number) => number, allowNonFinite: boolean): Encode {
  return (given) => {
    const value = numberOf(given);
    if (value === undefined) return unfit(given, 'a number');
    if (Number.isFinite(round(value))) return value;
    if (Number.isFinite(value)) return tooLarge(value, dtype);
    return allowNonFinite ? value : notFinite(value);
  };
}

function miniFloatEncoder(dtype: DType, type: MiniFloat, allowNonFinite: boolean): Encode {
  return (given) => {
    const value = numberOf(given);
    if (value === undefined) return unfit(given, 'a number');
    const word = toWord(value, type);
    if ((word & 0x7fff) < infinityWord(type)) return word;
    if (Number.isFinite(value)) return tooLarge(value, dtype);
    return allowNonFinite ? word : notFinite(value);
  };
}

function numberOf(given: unknown): number | undefined {
  return typeof given === 'number' ? given : NOT_FINITE.get(given);
}

function integerEncoder(dtype: DType, min: number, max: number): Encode {
  return (value) => {
    if (typeof value === 'bigint') return value >= min && value <= max ? Number(value) : beyond(value, dtype, min, max);
    if (typeof value !== 'number') return unfit(value, 'a whole number');
    if (!Number.isInteger(value)) return fraction(value);
    return value >= min && value <= max ? value : beyond(value, dtype, min, max);
  };
}

/** Parsing a JSON number beyond 2^53 may lose digits, so such integers must be strings of digits. */
function bigIntEncoder(dtype: DType, min: bigint, max: bigint): Encode {
  return (value) => {
    if (typeof value === 'bigint' || (typeof value === 'string' && /^-?\d{1,20}$/.test(value))) {
      const whole = BigInt(value);
      return whole >= min && whole <= max ? whole : beyond(value, dtype, min, max);
    }
    if (typeof value !== 'number') return unfit(value, 'a whole number');
    if (!Number.isInteger(value)) return fraction(value);
    if (!Number.isSafeInteger(value)) {
      return {
        code: 'TANDEM_ROW_TYPE',
        what: `is ${value}, beyond the 2^53 that a JSON number keeps exactly: write it as a string`,
      };
    }
    return value >= min ? BigInt(value) : beyond(value, dtype, min, max);
  };
}

function unfit(value: unknown, wanted: string): ElementFault {
  if (value === null || NOT_FINITE.has(value)) return notFinite(value);
  const code = Array.isArray(value) ? 'TANDEM_ROW_SHAPE' : 'TANDEM_ROW_TYPE';
  return { code, what: `is ${kindOf(value)} where ${wanted} belongs` };
}

function notFinite(value: unknown): ElementFault {
  return { code: 'TANDEM_ROW_NOT_FINITE', what: `is ${value}` };
}

function tooLarge(value: number, dtype: DType): ElementFault {
  return { code: 'TANDEM_ROW_NOT_FINITE', what: `is ${value}, too large for ${dtype}` };
}

function fraction(value: number): ElementFault {
  if (!Number.isFinite(value)) return notFinite(value);
  return { code: 'TANDEM_ROW_TYPE', what: `is ${value} where a whole number belongs` };
}

function beyond(
  value: number | bigint | string,
  dtype: DType,
  min: number | bigint,
  max: number | bigint,
): ElementFault {
  return { code: 'TANDEM_ROW_TYPE', what: `is ${value}, beyond ${dtype} (${min} to ${max})` };
}

/** The kind of a JSON value, worded to fit into "is … where". */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (value instanceof DataView || value instanceof ArrayBuffer)
    return `a ${value.constructor.name}, which has no element type,`;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return 'a list';
  const known = {
    boolean: 'a boolean',
    number: 'a number',
    string: 'a string',
    bigint: 'a bigint',
    undefined: 'undefined',
  };
  return known[typeof value as keyof typeof known] ?? 'an object';
}
