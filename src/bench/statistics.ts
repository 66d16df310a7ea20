/** What a bench says of its repetitions: the middle one, and between which bounds the true middle lies. */

import { median } from '../plan/median.js';

/** A median and the bounds that hold the true one in 95 cases of 100. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Repetitions from which on the bounds can be held to `CONFIDENCE`; of fewer, they are the smallest and the largest. */
export const ENOUGH = 6;
const CONFIDENCE = 0.95;

/**
 * The bounds are two of the values themselves, as many places from either end as leave the confidence: the true median has as
 * many repetitions below it as a coin shows heads, however they are distributed.
 */
export function estimate(values: readonly number[]): Estimate {
  const sorted = values.toSorted((a, b) => a - b);
  const from = placesOutside(sorted.length);
  return { median: median(sorted), low: sorted[from]!, high: sorted[sorted.length - 1 - from]! };
}

/** The most heads that so few of n coins show as to be left out, at either end, of what the confidence holds. */
function placesOutside(n: number): number {
  let share = 0.5 ** n;
  let sum = share;
  for (let heads = 0; ; heads++) {
    share *= (n - heads) / (heads + 1);
    sum += share;
    if (sum > (1 - CONFIDENCE) / 2) return heads;
  }
}

/** The larger distance from the median to its bounds, as a share of it. */
export function spread(values: readonly number[]): number {
  const { median: middle, low, high } = estimate(values);
  return Math.max(high - middle, middle - low) / middle;
}

/** `values` over `others`, each by what was measured in the same round: what changes from round to round falls out. */
export function ratioOf(values: readonly number[], others: readonly number[]): Estimate {
  return estimate(values.map((value, n) => value / others[n]!));
}

/** Whether two things differ by no more than the repetitions do. */
export function holdsOne({ low, high }: Estimate): boolean {
  return low <= 1 && high >= 1;
}

/** The value that `share` of all values lie below. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))]!;
}
