/** Turns texts into the inputs of a model: tokenises them, cuts those that are too long, and makes mask, types and positions. */
import { TandemError } from '../../errors.js';
import { RowFault } from '../../rows/row-fault.js';
import { allocate, type Tensor, type TypedArray } from '../../tensor.js';
import { HALF_CHARACTERS, type PreparedRow, type Preparer, TEXTS_CUT, TEXTS_SPLIT, TOKENS_CUT } from '../task.js';
import type { LongTexts } from './long-texts.js';
import { type NativeTokenizer, openTokenizer } from './native-tokenizer.js';
import { cutTo, splitInto, type Tokens } from './shorten.js';
import type { TokenInput, TokenInputKind } from './token-inputs.js';

/** Parts of one text, at most: all of a window are in memory together. */
const MOST_PARTS = 4096;

/** A text, or the ids that somebody else has made of one. */
export type OneText = string | { readonly ids: readonly number[] };
/** What a record has: a text, two that are compared, or several. */
export type SelectedText =
  | OneText
  | readonly [string, string]
  | { readonly texts: readonly (OneText | readonly [string, string])[] };

export interface TextOptions {
  /** The path of a tokenizer.json. */
  readonly tokenizer: string;
  readonly inputs: readonly TokenInput[];
  /** Most tokens of a row, special ones included; `null` without a limit. */
  readonly limit: number | null;
  /** What becomes of a longer one. */
  readonly long: LongTexts;
  /** Put before each text. */
  readonly prompt: string;
  readonly padId: number;
  /** The position of the first token. */
  readonly firstPosition: number;
  /** Ids are below it; `null` if unknown. */
  readonly vocabulary: number | null;
}

export async function openTextPreparer(options: TextOptions): Promise<Preparer<SelectedText>> {
  const tokenizer = await openTokenizer(options.tokenizer);
  const { limit } = options;
  const special = (await tokenizer.encode('', '')).getLength();
  if (limit !== null && limit <= special) {
    throw new TandemError('TANDEM_USAGE', `at most ${limit} tokens leave no room beside ${special} special ones`, {
      remedy: 'give a greater max_seq_length in sentence_bert_config.json',
    });
  }
  return new TextPreparer(tokenizer, options);
}

class TextPreparer implements Preparer<SelectedText> {
  readonly #tokenizer: NativeTokenizer;
  readonly #options: TextOptions;

  constructor(tokenizer: NativeTokenizer, options: TextOptions) {
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  async prepare(selected: SelectedText): Promise<PreparedRow> {
    const counts = new Counts();
    const isSeveral = typeof selected === 'object' && 'texts' in selected;
    const texts = isSeveral ? selected.texts : [selected];
    const parts: Tokens[][] = [];
    for (const text of texts) parts.push(await this.#partsOf(text, counts));
    const groups = parts.map(({ length }) => length);
    const [tensors, ...more] = parts
      .flat()
      .map((tokens) => this.#options.inputs.map((input) => this.#tensorOf(input, tokens)));
    const isPlain = more.length === 0;
    return { tensors: tensors!, ...(!isPlain && { more, groups }), ...(counts.byName && { counts: counts.byName }) };
  }

  async #partsOf(text: OneText | readonly [string, string], counts: Counts): Promise<Tokens[]> {
    const isIds = typeof text === 'object' && 'ids' in text;
    const tokens = isIds ? this.#ofIds(text.ids) : await this.#ofText(text, counts);
    if (tokens.ids.length === 0) throw new RowFault('TANDEM_ROW_INVALID', 'the text has no tokens');
    return this.#shortened(tokens, counts);
  }

  async #ofText(selected: string | readonly [string, string], counts: Counts): Promise<Tokens> {
    const [text, pair] = typeof selected === 'string' ? [selected, null] : selected;
    const first = this.#options.prompt + wellFormed(text, counts);
    const encoding = await this.#tokenizer.encode(first, pair === null ? null : wellFormed(pair, counts));
    const isSpecial = encoding.getSpecialTokensMask();
    const texts = encoding.getSequenceIds().map((text, n) => (isSpecial[n] === 1 ? null : (text ?? 0)));
    return { ids: encoding.getIds(), types: encoding.getTypeIds(), texts };
  }

  #ofIds(ids: readonly number[]): Tokens {
    const { vocabulary } = this.#options;
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= (vocabulary ?? Number.POSITIVE_INFINITY));
    if (wrong !== undefined) throw new RowFault('TANDEM_ROW_INVALID', `${wrong} is no token id of this model`);
    return { ids, types: ids.map(() => 0), texts: ids.map(() => 0) };
  }

  /** The library's own truncation is not used: it gives no count of what it loses, and ends the process where it finds no room. */
  #shortened(tokens: Tokens, counts: Counts): Tokens[] {
    const { limit, long } = this.#options;
    const { length } = tokens.ids;
    if (long.kind === 'split') return this.#split(tokens, long, counts);
    if (limit === null || length <= limit) return [tokens];
    if (long.kind === 'error') {
      const message = `the text has ${length} tokens, more than the ${limit} that the model takes`;
      throw new RowFault('TANDEM_ROW_INVALID', message);
    }
    counts.add(TEXTS_CUT, 1);
    counts.add(TOKENS_CUT, length - limit);
    return [cutTo(tokens, limit)];
  }

  #split(tokens: Tokens, { tokens: most, overlap }: LongTexts & { kind: 'split' }, counts: Counts): Tokens[] {
    const limit = most ?? this.#options.limit!;
    if (tokens.ids.length <= limit) return [tokens];
    const parts = splitInto(tokens, limit, overlap);
    if (parts.length > MOST_PARTS) {
      const message = `the text has ${tokens.ids.length} tokens, more than ${MOST_PARTS} parts of ${limit}`;
      throw new RowFault('TANDEM_ROW_INVALID', message);
    }
    counts.add(TEXTS_SPLIT, 1);
    return parts;
  }

  #tensorOf({ kind, dtype, length }: TokenInput, tokens: Tokens): Tensor {
    const { padId, firstPosition } = this.#options;
    const size = length ?? tokens.ids.length;
    const data = allocate(dtype, [size]);
    fill(data, valuesOf(kind, tokens, firstPosition));
    if (kind === 'ids' && padId !== 0)
      fill(data.subarray(tokens.ids.length), Array(size - tokens.ids.length).fill(padId));
    return { dtype, shape: [size], data };
  }
}

function valuesOf(kind: TokenInputKind, { ids, types }: Tokens, firstPosition: number): readonly number[] {
  switch (kind) {
    case 'ids':
      return ids;
    case 'mask':
      return ids.map(() => 1);
    case 'types':
      return types;
    case 'positions':
      return ids.map((_, n) => firstPosition + n);
  }
}

function fill(data: TypedArray, values: readonly number[]): void {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let n = 0; n < values.length; n++) data[n] = BigInt(values[n]!);
  } else data.set(values);
}

/** The text as UTF-8 can hold it: half of a pair of surrogates becomes U+FFFD, for every tokenizer alike. */
function wellFormed(text: string, counts: Counts): string {
  if (text.isWellFormed()) return text;
  counts.add(HALF_CHARACTERS, 1);
  return text.toWellFormed();
}

class Counts {
  byName: Record<string, number> | undefined;

  add(name: string, count: number): void {
    this.byName ??= {};
    this.byName[name] = (this.byName[name] ?? 0) + count;
  }
}
