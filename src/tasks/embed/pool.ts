/** Pools the token embeddings of one text into its embedding, as sentence-transformers does; sums are kept in 64 bits. */
import type { PoolingMode, PoolingSettings } from '../model-folder/pooling-settings.js';

/** The embeddings of one text's tokens: (tokens, width), row-major, without padding. */
export interface TokenEmbeddings {
  readonly values: ArrayLike<number>;
  readonly tokens: number;
  readonly width: number;
}

/** @param skipped tokens at the beginning that do not count: those of a prompt, where the model leaves it out */
export function pool(embeddings: TokenEmbeddings, { modes }: PoolingSettings, skipped = 0): Float64Array {
  const { width, tokens } = embeddings;
  const pooled = new Float64Array(width * modes.length);
  // As the reference does, a text of nothing but its prompt is pooled over nothing.
  const from = Math.min(skipped, tokens);
  for (const [n, mode] of modes.entries()) {
    POOL[mode](embeddings, from, pooled.subarray(n * width, (n + 1) * width));
  }
  return pooled;
}

type Pool = (embeddings: TokenEmbeddings, from: number, into: Float64Array) => void;

const POOL: Readonly<Record<PoolingMode, Pool>> = {
  cls: ({ values, width, tokens }, from, into) => {
    const first = from < tokens ? from : 0;
    for (let i = 0; i < width; i++) into[i] = values[first * width + i]!;
  },
  lasttoken: ({ values, width, tokens }, _, into) => {
    for (let i = 0; i < width; i++) into[i] = values[(tokens - 1) * width + i]!;
  },
  max: ({ values, width, tokens }, from, into) => {
    into.fill(Number.NEGATIVE_INFINITY);
    for (let t = from; t < tokens; t++) {
      for (let i = 0; i < width; i++) into[i] = Math.max(into[i]!, values[t * width + i]!);
    }
  },
  mean: (embeddings, from, into) => weightedSum(embeddings, from, into, { weight: () => 1, divisor: (sum) => sum }),
  mean_sqrt_len_tokens: (embeddings, from, into) =>
    weightedSum(embeddings, from, into, { weight: () => 1, divisor: Math.sqrt }),
  weightedmean: (embeddings, from, into) =>
    weightedSum(embeddings, from, into, { weight: (t) => t + 1, divisor: (sum) => sum }),
};

interface Weights {
  readonly weight: (token: number) => number;
  readonly divisor: (sum: number) => number;
}

/** The least that a sum is divided by, as in the reference. */
const LEAST = 1e-9;

function weightedSum(
  { values, width, tokens }: TokenEmbeddings,
  from: number,
  into: Float64Array,
  { weight, divisor }: Weights,
): void {
  let sum = 0;
  for (let t = from; t < tokens; t++) {
    const w = weight(t);
    sum += w;
    for (let i = 0; i < width; i++) into[i]! += w * values[t * width + i]!;
  }
  const by = divisor(Math.max(sum, LEAST));
  for (let i = 0; i < width; i++) into[i]! /= by;
}
