/** How many tokens a prompt takes in front of a text, for models that leave it out of the pooling. */
import { openTokenizer } from './native-tokenizer.js';

/** As sentence-transformers counts: with the special tokens in front, without the one at the end. */
export async function promptTokens(tokenizer: string, prompt: string): Promise<number> {
  const encoding = await (await openTokenizer(tokenizer)).encode(prompt);
  const isSpecial = encoding.getSpecialTokensMask();
  return isSpecial.at(-1) === 1 ? encoding.getLength() - 1 : encoding.getLength();
}
