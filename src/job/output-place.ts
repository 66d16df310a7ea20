/** Where an output may be: not in the place of an input, and not in that of anything but a plain file. */
import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { TandemError } from '../errors.js';
import { errorsPath } from './errors-file.js';
import { journalPath } from './journal.js';
import { outputError } from './output-error.js';
import { partialPath } from './partial-file.js';

/** Throws TANDEM_USAGE where a file of the output would replace one of `inputs`, TANDEM_OUTPUT_FAILED where no file can be. */
export async function checkPlace(output: string, inputs: readonly string[] = []): Promise<void> {
  const names = [output, errorsPath(output)];
  for (const path of [...names, ...names.map(partialPath), journalPath(output)]) await refuseInput(path, inputs);
  const found = await lstat(output).catch(() => null);
  if (found) refuseSpecial(output, found);
}

/** A final rename would replace a link, a device or a pipe by a plain file. */
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
