/** The Python dict of an NPY header: strings, booleans and a tuple of sizes by name. Nothing is evaluated. */

/** Records and whatever else is none of these stands for itself as text, for nobody to compute with. */
export type HeaderValue = string | boolean | number[] | { readonly other: string };

const FIELD =
  /\s*(?:'(?<a>\w+)'|"(?<b>\w+)")\s*:\s*(?:'(?<text>[^'\\]*)'|"(?<quoted>[^"\\]*)"|(?<truth>True|False)|\((?<tuple>(?:\s*\d+L?\s*,)*(?:\s*\d+L?)?\s*)\)|(?<list>\[[^{}]*\]))\s*(?<more>,\s*)?/y;

/** Throws SyntaxError on anything else. */
export function parseHeader(text: string): Map<string, HeaderValue> {
  const [, inner] = /^\s*\{(.*)\}\s*$/s.exec(text) ?? [];
  if (inner === undefined) throw new SyntaxError('it is no dict');
  const fields = new Map<string, HeaderValue>();
  FIELD.lastIndex = 0;
  for (let at = 0, more = true; inner.slice(at).trim() !== ''; at = FIELD.lastIndex) {
    const groups: Record<string, string | undefined> | undefined = more ? FIELD.exec(inner)?.groups : undefined;
    if (!groups) throw new SyntaxError(`nothing known at position ${at}`);
    const name = (groups.a ?? groups.b)!;
    if (fields.has(name)) throw new SyntaxError(`${name} is there twice`);
    fields.set(name, fieldOf(groups));
    more = groups.more !== undefined;
  }
  return fields;
}

function fieldOf({ text, quoted, truth, tuple, list }: Record<string, string | undefined>): HeaderValue {
  if (tuple !== undefined) return sizesOf(tuple);
  if (list !== undefined) return { other: list };
  return truth === undefined ? (text ?? quoted)! : truth === 'True';
}

/** `3, 4` of (3, 4) and `3,` of (3,); parentheses alone are no tuple. */
function sizesOf(tuple: string): number[] {
  if (/^\s*\d+L?\s*$/.test(tuple)) throw new SyntaxError(`(${tuple}) is no tuple`);
  const sizes = [...tuple.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  if (!sizes.every(Number.isSafeInteger)) throw new SyntaxError(`(${tuple}) is too large`);
  return sizes;
}
