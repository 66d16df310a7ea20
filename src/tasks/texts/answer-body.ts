/** What the bodies of all answers to lines of an OpenAI batch file have. */
import type { RowRecord } from '../../rows/record-source.js';
import { bodyOf } from './batch-request.js';

/** The model's name as the line gives it, else `model`; and its tokens, special ones included. */
export function modelAndUsage(record: RowRecord, model: string, tokens: number) {
  const given = bodyOf(record).model;
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return { model: typeof given === 'string' ? given : model, usage };
}

/** The number with the fewest digits that is the same 32-bit float. */
export function shortest(value: number): number {
  const float = Math.fround(value);
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(float.toPrecision(digits));
    if (Math.fround(short) === float) return short;
  }
  return float;
}
