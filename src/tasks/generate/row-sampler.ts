/** The sampler of one answer: chooses its tokens, follows its text, and ends it at a stop text, an end token or its longest. */
import { TandemError } from '../../errors.js';
import { chooseToken, likeliest } from './choose-token.js';
import { LogProbabilities } from './log-probabilities.js';
import { LogitRules } from './logit-rules.js';
import { Random, type RandomKey } from './random.js';
import type { SamplingSettings } from './sampling-settings.js';
import type { SampledToken, Sampler } from './sequence.js';
import { StopTexts } from './stop-texts.js';
import { TextStream, type TokenTexts } from './text-stream.js';

/** What may come next, where the answer must have a form. */
export interface TokenMask {
  /** Sets the logits of all other tokens to -Infinity. */
  apply(logits: Float32Array): void;
  /** The answer goes on with this token. */
  add(id: number): void;
  /** What is wrong with an answer that has ended by itself; `null` if nothing is. */
  wrong(text: string): string | null;
  /** No more tokens come. */
  end(): void;
}

export interface RowSamplerOptions {
  readonly settings: SamplingSettings;
  /** New tokens at most; what the settings and the model's length allow. */
  readonly maxTokens: number;
  readonly prompt: readonly number[];
  /** Tokens that end the answer and are no text of it. */
  readonly ends: ReadonlySet<number>;
  readonly texts: TokenTexts;
  readonly key: RandomKey;
  readonly mask?: TokenMask | undefined;
  /** Called with each piece of the text as it is settled. */
  readonly onText?: ((piece: string) => void) | undefined;
}

/** A token of the answer as `logprobs` lists it. */
export interface TokenLogprobs {
  readonly id: number;
  readonly logprob: number;
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}

export class RowSampler implements Sampler {
  readonly #options: RowSamplerOptions;
  readonly #rules: LogitRules;
  readonly #random: Random;
  readonly #stream: TextStream;
  readonly #stops: StopTexts;
  /** Tokens of the answer, the one that ends it included. */
  readonly ids: number[] = [];
  /** Where they were asked for, of each token. */
  readonly logprobs: TokenLogprobs[] = [];
  /** So far. */
  text = '';
  finish: 'stop' | 'length' | null = null;
  /** Why no token could be chosen. */
  failure: TandemError | null = null;

  constructor(options: RowSamplerOptions) {
    this.#options = options;
    this.#rules = new LogitRules(options.settings, options.prompt);
    this.#random = new Random(options.key);
    this.#stream = new TextStream(options.texts, options.prompt);
    this.#stops = new StopTexts(options.settings.stop);
  }

  /** As of `Sampler`. It never throws: where no token can be chosen, `failure` says why and the answer ends. */
  next(logits: Float32Array): SampledToken {
    const { settings, mask, maxTokens, ends } = this.#options;
    if (likeliest(logits) < 0) return this.#fail('the logits of the model hold NaN or an infinity');
    const own = settings.logprobs === null ? null : new LogProbabilities(logits.slice());
    this.#rules.apply(logits);
    mask?.apply(logits);
    const id = chooseToken(logits, settings, () => this.#random.next());
    if (id < 0) return this.#fail('no token is left to choose: the form of the answer allows none that the model has');
    this.ids.push(id);
    this.#rules.add(id);
    const chosen = own && { id, logprob: own.of(id), top: own.top(settings.logprobs!) };
    if (chosen) this.logprobs.push(chosen);
    if (ends.has(id)) return this.#end({ ...chosen, id }, 'stop');
    mask?.add(id);
    this.#give(this.#stops.add(this.#stream.add(id)));
    if (this.#stops.stopped) return this.#end({ ...chosen, id }, 'stop');
    if (this.ids.length >= maxTokens) return this.#end({ ...chosen, id }, 'length');
    return { ...chosen, id, finish: null };
  }

  #end(token: Omit<SampledToken, 'finish'>, finish: 'stop' | 'length'): SampledToken {
    this.#give(this.#stops.add(this.#stream.end()));
    this.#give(this.#stops.end());
    this.finish = this.#stops.stopped ? 'stop' : finish;
    const wrong = finish === 'stop' ? (this.#options.mask?.wrong(this.text) ?? null) : null;
    if (wrong !== null) this.failure = new TandemError('TANDEM_ROW_INVALID', wrong);
    this.#options.mask?.end();
    return { ...token, finish: this.finish };
  }

  #fail(why: string): SampledToken {
    this.failure = new TandemError('TANDEM_ROW_NOT_FINITE', `after ${this.ids.length} tokens: ${why}`);
    this.finish = 'stop';
    this.#options.mask?.end();
    return { id: 0, finish: 'stop' };
  }

  #give(piece: string): void {
    if (piece === '') return;
    this.text += piece;
    this.#options.onText?.(piece);
  }
}
