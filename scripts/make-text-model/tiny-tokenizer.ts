/** A small WordPiece tokenizer, as BERT's: every letter and digit, some words, and a truncation and padding that nobody should take. */

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz0123456789'];
const MARKS = [...'.,!?;:\'"-()'];
const WORDS =
  'the a an of to and in is it that was for on are with this good bad film plot very not ##ing ##ed ##s ##ly ##er';

/** In the order of their ids. */
export function tinyVocabulary(): string[] {
  return [...SPECIAL, ...LETTERS, ...LETTERS.map((letter) => `##${letter}`), ...MARKS, ...WORDS.split(' ')].filter(
    (token, n, all) => all.indexOf(token) === n,
  );
}

/** The content of its tokenizer.json. */
export function tinyTokenizer(): unknown {
  const special = (id: number) => ({
    ...{ id, content: SPECIAL[id], single_word: false, lstrip: false, rstrip: false, normalized: false },
    special: true,
  });
  const token = (id: string, type: number) => ({ SpecialToken: { id, type_id: type } });
  const text = (id: 'A' | 'B') => ({ Sequence: { id, type_id: id === 'A' ? 0 : 1 } });
  return {
    version: '1.0',
    truncation: { direction: 'Right', max_length: 8, strategy: 'LongestFirst', stride: 0 },
    padding: {
      ...{ strategy: { Fixed: 8 }, direction: 'Right', pad_to_multiple_of: null, pad_id: 0, pad_type_id: 0 },
      pad_token: '[PAD]',
    },
    added_tokens: SPECIAL.map((_, id) => special(id)),
    normalizer: {
      ...{ type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null },
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [token('[CLS]', 0), text('A'), token('[SEP]', 0)],
      pair: [token('[CLS]', 0), text('A'), token('[SEP]', 0), text('B'), token('[SEP]', 1)],
      special_tokens: Object.fromEntries(
        ['[CLS]', '[SEP]'].map((id) => [id, { id, ids: [SPECIAL.indexOf(id)], tokens: [id] }]),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      ...{ type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
      vocab: Object.fromEntries(tinyVocabulary().map((entry, id) => [entry, id])),
    },
  };
}
