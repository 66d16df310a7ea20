/** Finds the files that inputs name: a path, a glob such as `shards/*.csv`, or a folder of files of one format. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TandemError } from '../errors.js';
import { STANDARD_STREAM } from './format.js';
import { formatByName, formatOf } from './format-of-path.js';

/** Files of tandem's own beside an output, which are no rows. */
const OWN = /\.(?:errors\.jsonl|partial|journal)$/;

/**
 * The files in the order of the inputs; those of a glob or a folder in the order of their names' characters. Throws TANDEM_INPUT_MISSING for a glob or
 * folder without files, and TANDEM_USAGE for files of several formats or stdin beside files.
 */
export async function expandInputs(inputs: readonly string[], format?: string): Promise<string[]> {
  const files: string[] = [];
  for (const input of inputs) files.push(...(await filesOf(input, format)));
  if (files.length > 1) checkTogether(files, format);
  return files;
}

async function filesOf(input: string, format: string | undefined): Promise<readonly string[]> {
  if (input === STANDARD_STREAM) return [input];
  const found = await stat(input).catch(() => null);
  if (found?.isDirectory()) return filesIn(input, format);
  if (found) return [input];
  const { glob, isDynamicPattern } = await import('tinyglobby');
  if (!isDynamicPattern(input)) return [input];
  const files = await glob(input, { expandDirectories: false });
  if (files.length > 0) return sorted(files.filter((file) => !OWN.test(file)));
  throw new TandemError('TANDEM_INPUT_MISSING', `no file matches ${input}`, {
    remedy: 'check the folder and the pattern; * stands for any characters of a name, ** for any folders',
  });
}

/** All files below the folder whose names are those of a row format, or with a format given all files. */
async function filesIn(folder: string, format: string | undefined): Promise<string[]> {
  const { glob } = await import('tinyglobby');
  const all = await glob('**/*', { cwd: folder, expandDirectories: false });
  const rows = all.filter((file) => !OWN.test(file) && (format !== undefined || formatByName(file) !== null));
  if (rows.length > 0) return sorted(rows).map((file) => join(folder, file));
  throw new TandemError('TANDEM_INPUT_MISSING', `the folder ${folder} has no file of rows`, {
    remedy: 'name a folder with files of one row format, or give the format with --input-format',
  });
}

function sorted(files: readonly string[]): string[] {
  return [...files].sort((a, b) => (a < b ? -1 : Number(a > b)));
}

function checkTogether(files: readonly string[], format: string | undefined): void {
  if (files.includes(STANDARD_STREAM)) {
    throw new TandemError('TANDEM_USAGE', 'stdin cannot be read beside files', {
      remedy: 'give files only, or join them: cat FILE… | tandem … --input -',
    });
  }
  const first = formatOf(files[0]!, format);
  const other = files.find((file) => formatOf(file, format) !== first);
  if (other === undefined) return;
  throw new TandemError('TANDEM_USAGE', `${files[0]} is ${first}, and ${other} is ${formatOf(other, format)}`, {
    remedy: 'give files of one format',
  });
}
