/** What a bench says of its repetitions: the middle one, and how far they lie apart. */

import { median } from '../plan/median.js';

export { median };

/** The value that `share` of all values lie below. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))]!;
}

/** Half of the interquartile range as a share of the median. */
export function spread(values: readonly number[]): number {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / median(values);
}

/**
 * How far the medians of the odd and the even repetitions lie apart, as a share of the median of all: the same thing
 * measured twice in turn. `null` for fewer than four.
 */
export function halvesApart(values: readonly number[]): number | null {
  if (values.length < 4) return null;
  const half = (parity: number) => median(values.filter((_, n) => n % 2 === parity));
  return Math.abs(half(0) - half(1)) / median(values);
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
