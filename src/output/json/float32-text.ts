/** The shortest text that is read back as the same float32. The fast path uses arithmetic on doubles if it is exact. */
import { shortestDecimal } from './shortest-decimal.js';

/** Nine digits distinguish any two float32 values. */
const DIGITS = 9;
/** 10^0 to 10^22: the powers of ten that a double represents exactly. */
const POWERS = Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));
/** Half the distance to the next float32 above, by biased exponent. */
const HALF_GAPS = Float64Array.from({ length: 255 }, (_, exponent) => 2 ** (Math.max(1, exponent) - 151));

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** `value` is a float32, finite. */
export function float32Text(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (value === 0) return `${sign}0`;
  const magnitude = Math.abs(value);
  return sign + (quickText(magnitude) ?? slowText(magnitude));
}

function slowText(magnitude: number): string {
  float[0] = magnitude;
  const word = bits[0]!;
  const above = HALF_GAPS[word >>> 23]!;
  const below = isPowerOfTwo(word) ? above / 2 : above;
  return String(shortestDecimal(magnitude, { above, below, even: word % 2 === 0 }, DIGITS));
}

/** Whether the spacing of floats below `magnitude` is half of that above. */
function isPowerOfTwo(word: number): boolean {
  return (word & 0x7fffff) === 0 && word >>> 23 > 1;
}

/** `null` if the arithmetic may be inexact: near a tie, at a power of two, or for numbers written with an exponent. */
function quickText(magnitude: number): string | null {
  if (magnitude < 1e-6 || magnitude >= 1e21) return null;
  float[0] = magnitude;
  const word = bits[0]!;
  if (isPowerOfTwo(word)) return null;
  const power = DIGITS - 1 - Math.floor(Math.log10(magnitude));
  const scaled = times10(magnitude, power); // Nine digits before the point.
  const allowed = times10(HALF_GAPS[word >>> 23]!, power);
  // Six digits first (this also finds shorter decimals), then seven, eight and nine.
  for (let dropped = 3; dropped >= 0; dropped--) {
    const unit = POWERS[dropped]!;
    const ratio = scaled / unit;
    const digits = Math.round(ratio);
    const error = Math.abs(ratio - digits);
    const limit = allowed / unit;
    if (error > limit * (1 + 1e-6)) continue;
    if (error > limit * (1 - 1e-6) || error > 0.499999) return null;
    return decimalText(digits, power - dropped);
  }
  return null;
}

function times10(value: number, power: number): number {
  return power >= 0 ? value * POWERS[power]! : value / POWERS[-power]!;
}

/** `digits` with its last `places` digits after the point, as JavaScript would write it. */
function decimalText(digits: number, places: number): string {
  let whole = digits;
  let after = places;
  while (after > 0 && whole % 10 === 0) {
    whole /= 10;
    after -= 1;
  }
  if (after <= 0) return String(whole * POWERS[-after]!);
  const text = String(whole).padStart(after + 1, '0');
  return `${text.slice(0, -after)}.${text.slice(-after)}`;
}
