/** Turns a classifier's raw outputs into scores from 0 to 1. */
import type { ScoreActivation } from '../model-folder/model-settings.js';

export function scoresOf(logits: ArrayLike<number>, activation: ScoreActivation): Float64Array {
  const values = Float64Array.from(logits);
  if (activation === 'none') return values;
  if (activation === 'sigmoid') return values.map((x) => 1 / (1 + Math.exp(-x)));
  const largest = values.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
  const powers = values.map((x) => Math.exp(x - largest));
  const sum = powers.reduce((total, x) => total + x, 0);
  return powers.map((x) => x / sum);
}

/** Positions of the `count` largest, the largest first; of equal ones the first comes first. */
export function largest(scores: Float64Array, count: number): number[] {
  const order = Array.from(scores, (_, n) => n).sort((a, b) => scores[b]! - scores[a]! || a - b);
  return order.slice(0, count);
}
