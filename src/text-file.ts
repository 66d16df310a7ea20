/** A file of text that a person names and that is read whole: a configuration, a plan, a record. */
import { readFileSync, statSync } from 'node:fs';

/** Throws the system's error, or an error for a path that is not a file; a device might never end. */
export function readTextFile(path: string): string {
  const found = statSync(path);
  if (found.isCharacterDevice() || found.isBlockDevice()) throw new Error('it is a device, not a file');
  // Programs on Windows begin text with a byte order mark, which JSON has no place for.
  return readFileSync(path, 'utf8').replace(/^\ufeff/, '');
}
