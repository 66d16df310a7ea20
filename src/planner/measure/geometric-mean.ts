/** The geometric mean: the mean of ratios, in which twice as much and half as much cancel out. */
import { sum } from '../../sums.js';

/** Of positive values. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(sum(values.map(Math.log)) / values.length);
}
