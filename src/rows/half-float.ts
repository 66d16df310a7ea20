/** Converts numbers to 16-bit floats and back. They are stored as 16-bit words because Node 20 has no array type for them. */

/** A sign bit, then `exponentBits`, then `mantissaBits`, in the layout of IEEE 754; 16 bits in all. */
export interface MiniFloat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
}

export const FLOAT16: MiniFloat = { exponentBits: 5, mantissaBits: 10 };
export const BFLOAT16: MiniFloat = { exponentBits: 8, mantissaBits: 7 };

const SIGN = 0x8000;

/** The word of positive infinity. Words above it, without the sign bit, are NaN. */
export function infinityWord({ exponentBits, mantissaBits }: MiniFloat): number {
  return ((1 << exponentBits) - 1) << mantissaBits;
}

export function fromWord(word: number, type: MiniFloat): number {
  const { mantissaBits } = type;
  const sign = word & SIGN ? -1 : 1;
  const exponent = (word & ~SIGN) >> mantissaBits;
  const mantissa = word & ((1 << mantissaBits) - 1);
  if (exponent === infinityWord(type) >> mantissaBits) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  const subnormal = exponent === 0;
  return sign * (mantissa + (subnormal ? 0 : 1 << mantissaBits)) * spacing(subnormal ? 1 : exponent, type);
}

/** The nearest word, ties to even, computed from the double: a conversion through float32 would round some values twice. */
export function toWord(value: number, type: MiniFloat): number {
  if (Number.isNaN(value)) return infinityWord(type) | (1 << (type.mantissaBits - 1));
  const sign = value < 0 || Object.is(value, -0) ? SIGN : 0;
  const magnitude = Math.abs(value);
  const infinity = infinityWord(type);
  if (magnitude === Number.POSITIVE_INFINITY) return sign | infinity;
  const exponent = Math.max(1, exponentOf(magnitude) + bias(type));
  if (exponent >= infinity >> type.mantissaBits) return sign | infinity;
  const mantissa = roundHalfToEven(magnitude / spacing(exponent, type));
  // The implicit one bit of a normal number adds one to the exponent field. A mantissa that rounds up to the next power carries into it.
  return sign | (((exponent - 1) << type.mantissaBits) + mantissa);
}

function bias({ exponentBits }: MiniFloat): number {
  return (1 << (exponentBits - 1)) - 1;
}

/** Distance between adjacent values with this biased exponent: a power of two, so that division by it is exact. */
function spacing(exponent: number, type: MiniFloat): number {
  return 2 ** (exponent - bias(type) - type.mantissaBits);
}

const double = new Float64Array(1);
const doubleWords = new Uint32Array(double.buffer);

/** floor(log2(magnitude)), exact; about -1023 for zero and for subnormal doubles. */
function exponentOf(magnitude: number): number {
  double[0] = magnitude;
  return (doubleWords[1]! >>> 20) - 1023;
}

function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
