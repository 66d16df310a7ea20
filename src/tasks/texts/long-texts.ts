/** What becomes of a text with more tokens than the model takes. */
import { TandemError } from '../../errors.js';

export type LongTexts =
  | { readonly kind: 'cut' }
  | { readonly kind: 'error' }
  /** Parts of at most `tokens`, each beginning `overlap` tokens before the end of the one before. */
  | {
      readonly kind: 'split';
      readonly tokens: number | null;
      readonly overlap: number;
      /** Whether each part has a result of its own; else the text has their mean. */
      readonly parts: boolean;
    };

const REMEDY = 'give cut, error, split, split:256,overlap=32, or split:256,overlap=32,parts';

/** `cut`, `error`, `split`, `split:256`, `split:256,overlap=32`, `split:256,overlap=32,parts`. Throws TANDEM_USAGE. */
export function parseLong(text: string, where = '--long'): LongTexts {
  if (text === 'cut' || text === 'error') return { kind: text };
  const found = /^split(?::(\d+))?(?:,overlap=(\d+))?(,parts)?$/.exec(text);
  if (!found) throw new TandemError('TANDEM_USAGE', `${where} "${text}" is not known`, { remedy: REMEDY });
  const tokens = found[1] === undefined ? null : Number(found[1]);
  const overlap = Number(found[2] ?? 0);
  if (tokens !== null && (tokens < 3 || overlap >= tokens - 2)) {
    throw new TandemError('TANDEM_USAGE', `${where} ${text}: parts of ${tokens} tokens cannot overlap by ${overlap}`, {
      remedy: 'the overlap is less than the tokens of a part, special ones not counted',
    });
  }
  return { kind: 'split', tokens, overlap, parts: found[3] !== undefined };
}
