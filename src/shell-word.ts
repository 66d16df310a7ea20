/** A word of a command that a message prints for typing. */

/** `text` as a shell takes it for one word: in single quotes where it holds anything that a shell could read otherwise. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
