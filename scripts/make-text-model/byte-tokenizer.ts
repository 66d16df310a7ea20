/** A small byte-level tokenizer, as GPT-2's: every byte, some words of two and three bytes, and the special tokens of a chat. */

const SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const MERGES = ['t h', 'th e', 'Ġ a', 'i n', 'e r'];

/** The letter that stands for each byte, as GPT-2 has it: printable ones for themselves. */
function byteLetters(): string[] {
  const isPlain = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPlain(byte) ? byte : next++));
}

/** In the order of their ids. */
export function byteVocabulary(): string[] {
  return [...byteLetters(), ...MERGES.map((merge) => merge.replace(' ', ''))];
}

/** The ids of the special tokens, by their content. */
export function specialIds(): Readonly<Record<string, number>> {
  const first = byteVocabulary().length;
  return Object.fromEntries(SPECIAL.map((content, n) => [content, first + n]));
}

/** The content of its tokenizer.json. */
export function byteTokenizer(): unknown {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: Object.entries(specialIds()).map(([content, id]) => ({ id, content, ...plain, special: true })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null },
      ...{ fuse_unk: false, byte_fallback: false, ignore_merges: false },
      vocab: Object.fromEntries(byteVocabulary().map((entry, id) => [entry, id])),
      merges: MERGES,
    },
  };
}

/** As ChatML. */
export const CHAT_TEMPLATE = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;
