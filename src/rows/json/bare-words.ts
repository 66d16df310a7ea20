/** JSON as Python writes it too: with NaN, Infinity and -Infinity as bare words, which are read as the strings of these names. */

/** Throws SyntaxError. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    try {
      return JSON.parse(quoted(text));
    } catch {
      throw error;
    }
  }
}

/** The words are quoted so that the text parses and a message can name the element's path. */
function quoted(text: string): string {
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
}
