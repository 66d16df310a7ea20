/** Measurements and plans on disk, one JSON file each, named by what they are of; damage and absence are the same. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { VERSION } from '../package.js';
import { cacheFolder } from './cache-folder.js';

export type StoreKind = 'profiles' | 'plans';

/** What was stored for `subject`, or null. The file says what it is of, so that a hash that collides or an old file does no harm. */
export function readStored<T extends object>(kind: StoreKind, subject: object): T | null {
  try {
    const { of, held } = JSON.parse(readFileSync(fileFor(kind, subject), 'utf8'));
    return JSON.stringify(of) === JSON.stringify(ofThis(subject)) ? held : null;
  } catch {
    return null;
  }
}

/** Best effort: a cache that cannot be written only costs time. */
export function store(kind: StoreKind, subject: object, held: object): void {
  const file = fileFor(kind, subject);
  const partial = `${file}.${randomUUID()}`;
  try {
    mkdirSync(join(cacheFolder(), kind), { recursive: true });
    writeFileSync(partial, JSON.stringify({ of: ofThis(subject), held }));
    // Whoever reads meanwhile sees the old file or the new one, never half of one.
    renameSync(partial, file);
  } catch {
    rmSync(partial, { force: true });
  }
}

function fileFor(kind: StoreKind, subject: object): string {
  const name = createHash('sha256')
    .update(JSON.stringify(ofThis(subject)))
    .digest('hex')
    .slice(0, 32);
  return join(cacheFolder(), kind, `${name}.json`);
}

/** Another tandem may run the same engine at another pace. */
function ofThis(subject: object): object {
  return { tandem: VERSION, ...subject };
}
