/** Strings that tokenizers get wrong: made from a seed, so that they are the same everywhere. */
import { seeded } from '../../src/prove/models/seeded.js';

/** Ranges of code points, from and to, by what they are. */
const RANGES: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0x00, 0x1f],
  [0x80, 0x24f],
  [0x300, 0x36f],
  [0x391, 0x3c9],
  [0x410, 0x44f],
  [0x590, 0x5ff],
  [0x600, 0x6ff],
  [0x900, 0x97f],
  [0xe00, 0xe5b],
  [0x1100, 0x11ff],
  [0x2000, 0x206f],
  [0x2190, 0x21ff],
  [0x3040, 0x30ff],
  [0x3400, 0x34ff],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
  [0xd800, 0xdfff],
  [0xfb00, 0xfb4f],
  [0xfe00, 0xfe0f],
  [0xff00, 0xffef],
  [0x1f300, 0x1f6ff],
  [0x20000, 0x2a6df],
  [0xe0100, 0xe01ef],
];

const GIVEN: readonly string[] = [
  ...[
    '',
    ' ',
    '\0',
    'a\0b',
    '\n\r\t',
    '\u200b\u200d\ufeff',
    '\u202eabc\u202c',
    'ﬁnal ﬂow',
    'ΣΑΣ ΟΔΟΣ σς',
    'İIıi',
    'ẞß',
  ],
  ...[
    '👨‍👩‍👧‍👦🏳️‍🌈',
    '🇩🇪🇫🇷',
    'e\u0301\u0323',
    'ｶﾞｷﾞ ﾊﾟ',
    '각각',
    '한국어 텍스트',
    '日本語の文章です。',
    '𠮷野家',
    'مرحبا بالعالم',
  ],
  ...[
    '\ud83d',
    'x\udc00y',
    '[CLS] [SEP] [MASK] <s></s> <|endoftext|>',
    '<unk>▁▁',
    'a'.repeat(100_000),
    ' '.repeat(5_000),
  ],
  ...[
    'http://x.y/?a=1&b=%20',
    "don't can't I'll",
    '1,234.56 ½ ² ①',
    'Ω Å ﷺ',
    '\u1e9b\u0323',
    'a\u00a0b\u3000c',
    '...!!!???',
  ],
];

export function nastyStrings(count: number): string[] {
  const random = seeded(7);
  const below = (n: number) => Math.floor(random() * n);
  const made = Array.from({ length: count - GIVEN.length }, () => {
    // One script, or a mix of them.
    const ranges = Array.from({ length: 1 + below(3) }, () => RANGES[below(RANGES.length)]!);
    const letters = Array.from({ length: 1 + below(60) }, () => {
      if (random() < 0.12) return ' ';
      const [from, to] = ranges[below(ranges.length)]!;
      return String.fromCodePoint(from + below(to - from + 1));
    });
    return letters.join('');
  });
  return [...GIVEN, ...made];
}
