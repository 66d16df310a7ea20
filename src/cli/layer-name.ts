/** The name of a layer as a table shows it. */
import { printable } from './fail.js';

/** Characters; `inspect --json` tells the whole name. */
const LONGEST = 48;

/** Of a long name the end: it begins with scopes that its neighbours share. */
export function formatLayerName(name: string): string {
  const text = printable(name);
  return text.length <= LONGEST ? text : `…${text.slice(1 - LONGEST)}`;
}
