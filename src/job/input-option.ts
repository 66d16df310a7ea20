/** The input files of a run as a program names them. */
import { resolve } from 'node:path';
import { STANDARD_STREAM } from '../rows/format.js';

/** Files, globs or folders of one format with all inputs, `-` for stdin, or a file for each input by name. */
export type InputFiles = string | readonly string[] | Readonly<Record<string, string>>;

/** As the texts of --input. */
export function inputTexts(input: InputFiles): string[] {
  // A path that begins with NAME= would be read as the file of that input.
  if (typeof input === 'string') return [input === STANDARD_STREAM ? input : resolve(input)];
  if (Array.isArray(input)) return (input as readonly string[]).flatMap(inputTexts);
  return Object.entries(input).map(([name, path]) => `${name}=${path}`);
}
