/** Chooses a token of logits: the likeliest, or one drawn among those that temperature, min-p, top-k and top-p leave. */
import { LikeliestFirst } from './likeliest-first.js';
import type { SamplingSettings } from './sampling-settings.js';

type Rules = Pick<SamplingSettings, 'temperature' | 'topK' | 'topP' | 'minP'>;

/** The likeliest token; of equals the first. -1 where no logit is a number above -Infinity, or one is NaN or Infinity. */
export function likeliest(logits: Float32Array): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (logit > most) {
      most = logit;
      best = id;
    } else if (Number.isNaN(logit)) return -1;
  }
  return most === Number.POSITIVE_INFINITY ? -1 : best;
}

/**
 * The order is vLLM's: temperature, then min-p, then top-k, then top-p of what top-k left. `draw` is in [0, 1): the token is that at which the
 * probabilities, added in the order of the ids, pass this share of their sum. Returns -1 as `likeliest`.
 */
export function chooseToken(
  logits: Float32Array,
  { temperature, topK, topP, minP }: Rules,
  draw: () => number,
): number {
  const best = likeliest(logits);
  if (best < 0 || temperature === 0) return best;
  const most = logits[best]!;
  // Shares of the likeliest token's probability, which is 1 here.
  const weights = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id++) {
    const weight = Math.exp((logits[id]! - most) / temperature);
    if (weight >= minP) weights[id] = weight;
  }
  const ofTopK = topK > 0 && topK < logits.length ? likeliestOf(weights, (taken) => taken === topK) : weights;
  const ofTopP = topP < 1 ? likeliestOf(ofTopK, enough(ofTopK, topP)) : ofTopK;
  return drawn(ofTopP, draw());
}

/** The weights of the likeliest tokens, 0 for all others; of equals the first are taken. `isEnough` is asked after each. */
function likeliestOf(weights: Float64Array, isEnough: (taken: number, sum: number) => boolean): Float64Array {
  const order = new LikeliestFirst(weights);
  const left = new Float64Array(weights.length);
  let [taken, sum] = [0, 0];
  for (let id = order.take(); id >= 0; id = order.take()) {
    left[id] = weights[id]!;
    sum += weights[id]!;
    taken += 1;
    if (isEnough(taken, sum)) break;
  }
  return left;
}

function enough(weights: Float64Array, share: number): (taken: number, sum: number) => boolean {
  const target = share * sumOf(weights);
  return (_, sum) => sum >= target;
}

function sumOf(weights: Float64Array): number {
  let sum = 0;
  for (const weight of weights) sum += weight;
  return sum;
}

/** The id at which the weights, added in the order of the ids, pass the share `draw` of their sum. */
function drawn(weights: Float64Array, draw: number): number {
  const target = draw * sumOf(weights);
  let passed = 0;
  let last = -1;
  for (let id = 0; id < weights.length; id++) {
    if (weights[id] === 0) continue;
    passed += weights[id]!;
    last = id;
    if (passed > target) return id;
  }
  // Only rounding leads here.
  return last;
}
