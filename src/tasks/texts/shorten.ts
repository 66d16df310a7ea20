/** Cuts tokens to a limit, or splits them into parts, with the special tokens that stand around every text. */

/** The tokens of a text or of a pair, special ones included. */
export interface Tokens {
  readonly ids: readonly number[];
  readonly types: readonly number[];
  /** 0 or 1: which text of the pair; `null` for a special token around them. */
  readonly texts: readonly (number | null)[];
}

/** As many tokens as `limit` lets, special ones included: of a pair, the longer text is cut first. `limit` leaves room for one token more than the special ones. */
export function cutTo(tokens: Tokens, limit: number): Tokens {
  const [first, second] = lengthsOf(tokens);
  const room = limit - (tokens.ids.length - first - second);
  const most = second === 0 ? [room, 0] : longestFirst(first, second, room);
  const taken = [0, 0];
  return keep(tokens, (text) => {
    taken[text]! += 1;
    return taken[text]! <= most[text]!;
  });
}

/** Parts of at most `limit` tokens, special ones included; each begins `overlap` tokens before the end of the one before. Of a single text. */
export function splitInto(tokens: Tokens, limit: number, overlap: number): Tokens[] {
  const [length] = lengthsOf(tokens);
  const room = limit - (tokens.ids.length - length);
  const parts: Tokens[] = [];
  for (let start = 0; start === 0 || start + overlap < length; start += room - overlap) {
    let place = 0;
    parts.push(
      keep(tokens, () => {
        const at = place++;
        return at >= start && at < start + room;
      }),
    );
  }
  return parts;
}

function lengthsOf({ texts }: Tokens): [first: number, second: number] {
  const counts: [number, number] = [0, 0];
  for (const text of texts) if (text !== null) counts[text]! += 1;
  return counts;
}

/** How many tokens of each text stay, as the tokenizers' own strategy `longest_first` has it. */
function longestFirst(first: number, second: number, room: number): [number, number] {
  const [short, long] = first <= second ? [first, second] : [second, first];
  if (short + long <= room) return [first, second];
  const half = Math.floor(room / 2);
  // Only the longer one is cut, as long as it stays the longer one; else both have half.
  const [less, more] = short <= half ? [short, room - short] : [half, half + (room % 2)];
  return first <= second ? [less, more] : [more, less];
}

function keep({ ids, types, texts }: Tokens, isKept: (text: number) => boolean): Tokens {
  const kept = texts.map((text) => text === null || isKept(text));
  return {
    ids: ids.filter((_, n) => kept[n]),
    types: types.filter((_, n) => kept[n]),
    texts: texts.filter((_, n) => kept[n]),
  };
}
