/** What changes logits by what was said before: the bias of single tokens, and penalties of tokens that come again. */
import type { SamplingSettings } from './sampling-settings.js';

type Rules = Pick<SamplingSettings, 'logitBias' | 'repetitionPenalty' | 'presencePenalty' | 'frequencyPenalty'>;

export class LogitRules {
  readonly #biases: readonly (readonly [id: number, bias: number])[];
  readonly #repetition: number;
  readonly #presence: number;
  readonly #frequency: number;
  /** Tokens of the prompt and the answer. */
  readonly #seen: Set<number>;
  /** How often the answer has each of its tokens. */
  readonly #counts = new Map<number, number>();

  constructor({ logitBias, repetitionPenalty, presencePenalty, frequencyPenalty }: Rules, prompt: readonly number[]) {
    this.#biases = Object.entries(logitBias).map(([id, bias]) => [Number(id), bias]);
    this.#repetition = repetitionPenalty;
    this.#presence = presencePenalty;
    this.#frequency = frequencyPenalty;
    this.#seen = new Set(repetitionPenalty === 1 ? [] : prompt);
  }

  /** Changes the logits in place: first the bias, then the penalties, as vLLM does. */
  apply(logits: Float32Array): void {
    for (const [id, bias] of this.#biases) if (id < logits.length) logits[id]! += bias;
    if (this.#repetition !== 1) {
      for (const id of this.#seen) {
        const logit = logits[id]!;
        logits[id] = logit > 0 ? logit / this.#repetition : logit * this.#repetition;
      }
    }
    if (this.#presence === 0 && this.#frequency === 0) return;
    for (const [id, count] of this.#counts) logits[id]! -= this.#presence + this.#frequency * count;
  }

  /** The answer has one more token. */
  add(id: number): void {
    if (this.#repetition !== 1) this.#seen.add(id);
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }
}
