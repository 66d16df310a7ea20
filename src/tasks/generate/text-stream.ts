/** The text of tokens that come one by one: a character of several tokens is given whole, and all pieces together are the text of all tokens. */

/** Makes texts of tokens. */
export interface TokenTexts {
  /** The text of these tokens; special ones have none. */
  text(ids: readonly number[]): string;
}

/** Tokens of the prompt that are looked at, so that a space before the first word is kept. */
const BEFORE = 6;
const INCOMPLETE = '\ufffd';
/** Tokens of one character, at most: a byte each. */
const LONGEST = 4;

export class TextStream {
  readonly #texts: TokenTexts;
  /** Tokens whose text may depend on each other: the last ones that were given out, and those that wait. */
  #window: number[];
  /** How many of them were given out. */
  #given: number;

  constructor(texts: TokenTexts, prompt: readonly number[]) {
    this.#texts = texts;
    this.#window = prompt.slice(-BEFORE);
    this.#given = this.#window.length;
  }

  /** What the token adds; empty while a character is not whole. */
  add(id: number): string {
    this.#window.push(id);
    const [before, whole] = this.#both();
    if (whole.length <= before.length) return '';
    if (whole.endsWith(INCOMPLETE)) return this.#never(before, whole);
    this.#window = this.#window.slice(this.#given);
    this.#given = this.#window.length;
    return whole.slice(before.length);
  }

  /** What is left: U+FFFD for a character that never became whole. */
  end(): string {
    const [before, whole] = this.#both();
    this.#given = this.#window.length;
    return whole.slice(before.length);
  }

  /** Of bytes that are no text: those that no further token can make a character of. */
  #never(before: string, whole: string): string {
    const waiting = this.#window.length - this.#given;
    if (waiting < 2 * LONGEST) return '';
    for (let last = this.#window.length - LONGEST; last > this.#given; last--) {
      const text = this.#texts.text(this.#window.slice(0, last));
      if (!whole.startsWith(text)) continue;
      this.#window = this.#window.slice(this.#given);
      this.#given = last - this.#given;
      return text.slice(before.length);
    }
    return '';
  }

  #both(): [before: string, whole: string] {
    const before = this.#texts.text(this.#window.slice(0, this.#given));
    const whole = this.#texts.text(this.#window);
    // A prompt of token ids may end within a character.
    let common = before.length;
    while (common > 0 && !whole.startsWith(before.slice(0, common))) common -= 1;
    return [before.slice(0, common), whole];
  }
}
