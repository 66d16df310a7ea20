/** Checks the path of an output: it must not replace an input, or anything except a plain file. */
import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { TandemError } from '../errors.js';
import { outputError } from './error.js';
import { errorsPath } from './errors-file.js';
import { journalPath } from './journal.js';
import { partialPath } from './partial-file.js';

/** Throws TANDEM_USAGE if a file of the output would replace one of `inputs`, TANDEM_OUTPUT_FAILED if the path cannot be a file. */
export async function checkOutputPath(output: string, inputs: readonly string[] = []): Promise<void> {
  const names = [output, errorsPath(output)];
  for (const path of [...names, ...names.map(partialPath), journalPath(output)]) await refuseInput(path, inputs);
  const found = await lstat(output).catch(() => null);
  if (found) refuseSpecial(output, found);
}

/** The rename at the end would replace a link, a device or a pipe by a plain file. */
function refuseSpecial(output: string, found: Stats): void {
  if (found.isFile()) return;
  if (found.isDirectory()) throw outputError(output, Object.assign(new Error('a folder'), { code: 'EISDIR' }));
  const what = found.isSymbolicLink() ? 'a symbolic link' : 'a device or a pipe';
  throw new TandemError('TANDEM_OUTPUT_FAILED', `the output ${output} is ${what}, which is never replaced`, {
    remedy: found.isSymbolicLink()
      ? 'name the file that it points to, or another one'
      : `write to stdout instead: --output - > ${output}`,
  });
}

async function refuseInput(path: string, inputs: readonly string[]): Promise<void> {
  const target = await stat(path).catch(() => null);
  if (!target) return;
  for (const input of inputs) {
    const source = await stat(input).catch(() => null);
    if (source?.ino !== target.ino || source.dev !== target.dev) continue;
    throw new TandemError('TANDEM_USAGE', `the output would replace the input ${input}`, {
      remedy: 'name another output',
    });
  }
}
