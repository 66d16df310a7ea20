/** Texts to tokens and back, for a model that continues texts. */
import { TandemError } from '../../errors.js';
import { type NativeTokenizer, openTokenizer } from '../texts/native-tokenizer.js';
import type { FormVocabulary } from './answer-forms.js';
import type { TokenTexts } from './text-stream.js';

/** What of the native library turns tokens into texts at once. */
interface Texts {
  idToToken(id: number): string | null;
  getDecoder(): { decode(tokens: string[]): string } | null;
}

export interface EncodedPrompt {
  readonly ids: readonly number[];
  /** Whether half of a surrogate pair was replaced by U+FFFD. */
  readonly wasIllFormed: boolean;
}

export class DecoderTokens implements TokenTexts {
  readonly #tokenizer: NativeTokenizer & Texts;
  readonly #decoder: ReturnType<Texts['getDecoder']>;
  readonly #special: ReadonlySet<number>;

  readonly #kind: FormVocabulary['kind'];

  private constructor(tokenizer: NativeTokenizer & Texts, special: ReadonlySet<number>) {
    this.#tokenizer = tokenizer;
    this.#decoder = tokenizer.getDecoder();
    this.#special = special;
    // A letter that stands for a space byte, and a token that stands for a byte.
    const probe = (token: string) => this.#decoder?.decode(['a', token]).slice(1);
    this.#kind = probe('Ġ') === ' ' ? 'byte_level' : probe('<0x41>') === 'A' ? 'byte_fallback' : 'raw';
  }

  /** `special`: ids without a text. Throws TANDEM_PACKAGE_MISSING, TANDEM_MODEL_INVALID. */
  static async open(path: string, special: Iterable<number>): Promise<DecoderTokens> {
    const tokenizer = (await openTokenizer(path)) as NativeTokenizer & Texts;
    try {
      return new DecoderTokens(tokenizer, new Set(special));
    } catch (cause) {
      throw new TandemError('TANDEM_MODEL_INVALID', `${path}: ${(cause as Error).message}`, { cause });
    }
  }

  /** `addSpecial`: whether the tokenizer puts its own tokens around the text; a chat template has written them already. */
  async encode(text: string, addSpecial: boolean): Promise<EncodedPrompt> {
    const wellFormed = text.toWellFormed();
    const encoding = await this.#tokenizer.encode(wellFormed, null, { addSpecialTokens: addSpecial });
    return { ids: encoding.getIds(), wasIllFormed: wellFormed !== text };
  }

  text(ids: readonly number[]): string {
    return this.#join(ids.filter((id) => !this.#special.has(id)));
  }

  /** The text of a single token, special ones too, as lists of log probabilities show it. */
  token(id: number): string {
    return this.#special.has(id) ? (this.#tokenizer.idToToken(id) ?? '') : this.#join([id]);
  }

  /** The tokens as the tokenizer stores them, by id; '' for those without a text. */
  stored(size: number): FormVocabulary {
    const tokens = Array.from({ length: size }, (_, id) =>
      this.#special.has(id) ? '' : (this.#tokenizer.idToToken(id) ?? ''),
    );
    const controls = tokens.flatMap((_, id) => (hasControl(this.text([id])) ? [id] : []));
    return { tokens, kind: this.#kind, controls, size };
  }

  #join(ids: readonly number[]): string {
    // The library leaves out ids that the vocabulary does not have: models are often wider than their tokenizers.
    const tokens = ids.map((id) => this.#tokenizer.idToToken(id)).filter((token) => token !== null);
    return this.#decoder ? this.#decoder.decode(tokens) : tokens.join(' ');
  }
}

/** A character that JSON allows as an escape only. */
function hasControl(text: string): boolean {
  return [...text].some((character) => character < ' ');
}
