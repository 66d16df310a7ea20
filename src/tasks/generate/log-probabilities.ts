/** Natural logarithms of probabilities of tokens, from the model's own logits: before bias, penalties, temperature and what is left out. */
import { likeliest } from './choose-token.js';
import { LikeliestFirst } from './likeliest-first.js';

export interface LogProbability {
  readonly id: number;
  readonly logprob: number;
}

export class LogProbabilities {
  readonly #logits: Float32Array;
  /** The logarithm of the sum of the exponentials. */
  readonly #whole: number;

  /** Owns `logits`, finite ones or -Infinity. */
  constructor(logits: Float32Array) {
    this.#logits = logits;
    const most = logits[likeliest(logits)]!;
    let sum = 0;
    for (const logit of logits) sum += Math.exp(logit - most);
    this.#whole = most + Math.log(sum);
  }

  of(id: number): number {
    return this.#logits[id]! - this.#whole;
  }

  /** The likeliest first. */
  top(count: number): LogProbability[] {
    if (count === 0) return [];
    const order = new LikeliestFirst(this.#logits, Number.NEGATIVE_INFINITY);
    const found: LogProbability[] = [];
    for (let id = order.take(); id >= 0 && found.length < count; id = order.take())
      found.push({ id, logprob: this.of(id) });
    return found;
  }
}
