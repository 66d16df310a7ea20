/** The name of a layer as a table shows it. */
import { printable } from './fail.js';

/** Characters at most; `inspect --json` prints the whole name. */
const LONGEST = 48;

/** The end of a long name, because its beginning is a scope that the neighbouring layers share. */
export function formatLayerName(name: string): string {
  const text = printable(name);
  return text.length <= LONGEST ? text : `…${text.slice(1 - LONGEST)}`;
}
