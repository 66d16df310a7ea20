/** Medians of repetitions with confidence intervals. */

import { ratiosByRound } from '../planner/measure/by-round.js';
import { median } from '../planner/measure/median.js';

/** A median and its 95 % confidence interval. */
export interface Estimate {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** The fewest repetitions for bounds of `CONFIDENCE`; with fewer, the bounds are the smallest and the largest value. */
export const ENOUGH = 6;
const CONFIDENCE = 0.95;

/**
 * The bounds are two of the values, as far from either end as the confidence allows: the true median has as
 * many repetitions below it as a coin shows heads, however they are distributed.
 */
export function estimate(values: readonly number[]): Estimate {
  const sorted = values.toSorted((a, b) => a - b);
  const from = placesOutside(sorted.length);
  return { median: median(sorted), low: sorted[from]!, high: sorted[sorted.length - 1 - from]! };
}

/** The largest number of heads of n coins whose tail probability is within what the confidence leaves at either end. */
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

/** `values` over `others`, by round: changes from round to round cancel out. */
export function ratioOf(values: readonly number[], others: readonly number[]): Estimate {
  return estimate(ratiosByRound(values, others));
}

/** Whether two medians differ by no more than the repetitions do. */
export function holdsOne({ low, high }: Estimate): boolean {
  return low <= 1 && high >= 1;
}

/** The value below which a `share` of all values lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))]!;
}
