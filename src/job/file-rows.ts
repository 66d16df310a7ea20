/** Rows that are files: their ids, and what distinguishes them from others without reading them. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { TandemError } from '../errors.js';

export interface FileRow {
  readonly id: string;
  /** Absolute. */
  readonly path: string;
}

/** `texts` are the inputs as they were given; ids are relative to `idsFrom`, or to the working directory. */
export function fileRows(paths: readonly string[], texts: readonly string[], idsFrom?: string): FileRow[] {
  const ids = idsOf(paths, texts, idsFrom);
  return paths.map((path, n) => ({ id: ids[n]!, path: resolve(path) }));
}

/** Paths as they were given, so that they do not depend on where a job is resumed. */
function idsOf(paths: readonly string[], texts: readonly string[], idsFrom?: string): string[] {
  if (idsFrom === undefined && texts.some((text) => isAbsolute(text))) return [...paths];
  return paths.map((path) => relative(idsFrom ?? process.cwd(), resolve(path)));
}

/** Files looked at together. */
const AT_ONCE = 64;

/** Of files that are not read for it: their ids, lengths and times of change. Throws TANDEM_INPUT_MISSING. */
export async function identityOf(files: readonly FileRow[]): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < files.length; at += AT_ONCE) {
    const some = files.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map(({ path }) => stat(path).catch(() => null)));
    for (const [n, { id, path }] of some.entries()) {
      if (!found[n]) {
        throw new TandemError('TANDEM_INPUT_MISSING', `the input ${path} cannot be opened: there is no such file`, {
          remedy: 'check the path and its permissions',
        });
      }
      hash.update(JSON.stringify([id, found[n].size, Math.trunc(found[n].mtimeMs)]));
    }
  }
  return `${files.length} files, sha256 ${hash.digest('hex').slice(0, 16)}`;
}
