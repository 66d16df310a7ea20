/**
 * Writes elements as JSON text: a float32 0.1 becomes `0.1`, not the seventeen digits of the equal double.
 *
 * The text of a float is the shortest decimal that every correct reader converts to the same bits, directly or through a double.
 * JSON cannot write NaN and infinities. As in protobuf's JSON they are the strings "NaN", "Infinity" and "-Infinity" (`null` would not
 * distinguish them). Minus zero is `-0`.
 */

import { BFLOAT16, FLOAT16, fromWord, type MiniFloat } from '../../rows/half-float.js';
import type { DType, TypedArray } from '../../tensor.js';
import { float32Text } from './float32-text.js';
import { shortestDecimal } from './shortest-decimal.js';

/** The function that writes element `at` of `data`, by element type. */
export const TEXT_OF: Record<DType, (data: TypedArray, at: number) => string> = {
  float32: (data, at) => textOr(float32Text, data[at] as number),
  float64: (data, at) => textOr(float64Text, data[at] as number),
  float16: (data, at) => miniFloatText(data[at] as number, FLOAT16),
  bfloat16: (data, at) => miniFloatText(data[at] as number, BFLOAT16),
  bool: (data, at) => (data[at] ? 'true' : 'false'),
  int8: integerText,
  int16: integerText,
  int32: integerText,
  int64: integerText,
  uint8: integerText,
  uint16: integerText,
  uint32: integerText,
  uint64: integerText,
};

function textOr(text: (finite: number) => string, value: number): string {
  return Number.isFinite(value) ? text(value) : `"${value}"`;
}

function integerText(data: TypedArray, at: number): string {
  return String(data[at]);
}

function float64Text(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Texts of the 16-bit floats, made on first use: each type has only 65,536 values. */
const MINI_TEXTS: ReadonlyMap<MiniFloat, (string | undefined)[]> = new Map([
  [FLOAT16, []],
  [BFLOAT16, []],
]);

function miniFloatText(word: number, type: MiniFloat): string {
  const texts = MINI_TEXTS.get(type)!;
  texts[word] ??= textOr((value) => float64Text(shortMiniFloat(value, word, type)), fromWord(word, type));
  return texts[word];
}

/** The shortest decimal of the finite float `value`, whose bits are `word`. */
function shortMiniFloat(value: number, word: number, type: MiniFloat): number {
  if (value === 0) return value;
  const magnitude = Math.abs(value);
  const bits = word & 0x7fff;
  const below = (magnitude - fromWord(bits - 1, type)) / 2;
  // Above the largest number the interval is as wide as if the range continued.
  const next = fromWord(bits + 1, type);
  const above = next === Number.POSITIVE_INFINITY ? below : (next - magnitude) / 2;
  // Five digits distinguish any two float16 values, four any two bfloat16.
  const digits = type === FLOAT16 ? 5 : 4;
  return Math.sign(value) * shortestDecimal(magnitude, { above, below, even: bits % 2 === 0 }, digits);
}
