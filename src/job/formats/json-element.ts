/** One JSON value as one element of a tensor: every number must survive the change, or its row fails. */
import type { DType } from '../../tensor.js';
import { BFLOAT16, FLOAT16, infinityWord, type MiniFloat, toWord } from './mini-float.js';
import type { RowFaultCode } from './row-fault.js';

/** Why a value is no element; `what` reads on after its path: `inputs.image[3] is null`. */
export interface ElementFault {
  readonly code: RowFaultCode;
  readonly what: string;
}

/** The element as it is stored in the tensor's array (16-bit floats as words), or what is wrong. */
export type Encode = (value: unknown) => number | bigint | ElementFault;

const NOT_FINITE = new Set<unknown>(['NaN', 'Infinity', '-Infinity']);

export const ENCODE: Record<DType, Encode> = {
  float32: floatEncoder('float32', Math.fround),
  float64: floatEncoder('float64', (value) => value),
  float16: miniFloatEncoder('float16', FLOAT16),
  bfloat16: miniFloatEncoder('bfloat16', BFLOAT16),
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

function floatEncoder(dtype: DType, round: (value: number) => number): Encode {
  return (value) => {
    if (typeof value !== 'number') return unfit(value, 'a number');
    return Number.isFinite(round(value)) ? value : tooLarge(value, dtype);
  };
}

function miniFloatEncoder(dtype: DType, type: MiniFloat): Encode {
  return (value) => {
    if (typeof value !== 'number') return unfit(value, 'a number');
    const word = toWord(value, type);
    return (word & 0x7fff) < infinityWord(type) ? word : tooLarge(value, dtype);
  };
}

function integerEncoder(dtype: DType, min: number, max: number): Encode {
  return (value) => {
    if (typeof value !== 'number') return unfit(value, 'a whole number');
    if (!Number.isInteger(value)) return fraction(value);
    return value >= min && value <= max ? value : beyond(value, dtype, min, max);
  };
}

/** Past 2^53 a JSON number may have lost digits when it was parsed; such integers come as strings of digits. */
function bigIntEncoder(dtype: DType, min: bigint, max: bigint): Encode {
  return (value) => {
    if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) {
      const whole = BigInt(value);
      return whole >= min && whole <= max ? whole : beyond(value, dtype, min, max);
    }
    if (typeof value !== 'number') return unfit(value, 'a whole number');
    if (!Number.isInteger(value)) return fraction(value);
    if (!Number.isSafeInteger(value)) {
      return {
        code: 'TANDEM_ROW_TYPE',
        what: `is ${value}, past the 2^53 that a JSON number keeps exactly: write it as a string`,
      };
    }
    return value >= min ? BigInt(value) : beyond(value, dtype, min, max);
  };
}

function unfit(value: unknown, wanted: string): ElementFault {
  if (value === null || NOT_FINITE.has(value)) return { code: 'TANDEM_ROW_NOT_FINITE', what: `is ${value}` };
  const code = Array.isArray(value) ? 'TANDEM_ROW_SHAPE' : 'TANDEM_ROW_TYPE';
  return { code, what: `is ${kindOf(value)} where ${wanted} belongs` };
}

function tooLarge(value: number, dtype: DType): ElementFault {
  return { code: 'TANDEM_ROW_NOT_FINITE', what: `is ${value}, too large for ${dtype}` };
}

function fraction(value: number): ElementFault {
  if (!Number.isFinite(value)) return { code: 'TANDEM_ROW_NOT_FINITE', what: `is ${value}` };
  return { code: 'TANDEM_ROW_TYPE', what: `is ${value} where a whole number belongs` };
}

function beyond(value: number | string, dtype: DType, min: number | bigint, max: number | bigint): ElementFault {
  return { code: 'TANDEM_ROW_TYPE', what: `is ${value}, beyond ${dtype} (${min} to ${max})` };
}

/** What a JSON value is, in a word that fits into "is … where". */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return 'a list';
  return { boolean: 'a boolean', number: 'a number', string: 'a string' }[typeof value as string] ?? 'an object';
}
