/** The few Python literals that an NPY header is made of: dicts, tuples, lists, strings, integers, True, False, None. Nothing is evaluated. */

/** Tuples and lists become arrays; a dict's keys are strings. */
export type PythonLiteral = string | number | boolean | null | PythonLiteral[] | Map<string, PythonLiteral>;

/** Deeper than any dtype that NumPy writes. */
const MAX_DEPTH = 32;
const TOKEN =
  /\s*(?:(?<mark>[{}()[\],:])|(?<integer>-?\d+)L?|(?<word>True|False|None)|(?<string>'[^'\\]*'|"[^"\\]*"))\s*/y;
const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ['True', true],
  ['False', false],
  ['None', null],
]);

type Token = { readonly mark: string } | { readonly value: string | number | boolean | null };

/** Throws SyntaxError on anything else than one literal. */
export function parsePythonLiteral(text: string): PythonLiteral {
  return new Reader(tokenize(text)).whole();
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; at < text.length; at = TOKEN.lastIndex) {
    const groups = TOKEN.exec(text)?.groups;
    if (!groups) throw new SyntaxError(`nothing known at position ${at}`);
    tokens.push(tokenOf(groups));
  }
  return tokens;
}

function tokenOf({ mark, integer, word, string }: Record<string, string | undefined>): Token {
  if (mark !== undefined) return { mark };
  if (word !== undefined) return { value: WORDS.get(word) as boolean | null };
  if (string !== undefined) return { value: string.slice(1, -1) };
  const value = Number(integer);
  if (!Number.isSafeInteger(value)) throw new SyntaxError(`${integer} is too large`);
  return { value };
}

class Reader {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): PythonLiteral {
    const value = this.#value(0);
    if (this.#next < this.#tokens.length) throw new SyntaxError('more follows the literal');
    return value;
  }

  #value(depth: number): PythonLiteral {
    if (depth > MAX_DEPTH) throw new SyntaxError('nested too deep');
    const token = this.#tokens[this.#next++];
    if (token === undefined) throw new SyntaxError('it ends too soon');
    if ('value' in token) return token.value;
    if (token.mark === '{') return this.#dict(depth);
    if (token.mark === '[') return this.#items(']', depth).items;
    if (token.mark === '(') {
      const { items, commas } = this.#items(')', depth);
      // Parentheses alone are no tuple: (3) is 3, and (3,) is a tuple.
      return items.length === 1 && commas === 0 ? items[0]! : items;
    }
    throw new SyntaxError(`a value is missing before ${token.mark}`);
  }

  #items(end: string, depth: number): { items: PythonLiteral[]; commas: number } {
    const items: PythonLiteral[] = [];
    let commas = 0;
    while (!this.#take(end)) {
      if (items.length > commas) throw new SyntaxError('a comma is missing');
      items.push(this.#value(depth + 1));
      if (this.#take(',')) commas += 1;
    }
    return { items, commas };
  }

  #dict(depth: number): Map<string, PythonLiteral> {
    const dict = new Map<string, PythonLiteral>();
    let commas = 0;
    while (!this.#take('}')) {
      if (dict.size > commas) throw new SyntaxError('a comma is missing');
      const key = this.#value(depth + 1);
      if (typeof key !== 'string' || dict.has(key)) throw new SyntaxError('a key is no string, or is there twice');
      if (!this.#take(':')) throw new SyntaxError('a colon is missing');
      dict.set(key, this.#value(depth + 1));
      if (this.#take(',')) commas += 1;
    }
    return dict;
  }

  #take(mark: string): boolean {
    const token = this.#tokens[this.#next];
    if (token === undefined || !('mark' in token) || token.mark !== mark) return false;
    this.#next += 1;
    return true;
  }
}
