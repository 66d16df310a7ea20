/** Measurements and plans on disk, one JSON file each, named by a hash of their subject. A damaged file counts as absent. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from '../../machine/cache-folder.js';
import { VERSION } from '../../package.js';

/** Folders of the cache that hold what was measured. */
export const STORE_KINDS = ['models', 'profiles', 'plans', 'batch-invariance'] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

/** What was stored for `subject`, or null. The file repeats its subject, so a hash collision or an old file does no harm. */
export function readStored<T extends object>(kind: StoreKind, subject: object): T | null {
  try {
    const { of, held } = JSON.parse(readFileSync(fileFor(kind, subject), 'utf8'));
    return JSON.stringify(of) === JSON.stringify(keyOf(subject)) ? held : null;
  } catch {
    return null;
  }
}

/** Stores `held`. Best effort, since an unwritable cache only costs time: returns `null`, or why nothing was stored. Never throws. */
export function store(kind: StoreKind, subject: object, held: object): string | null {
  const file = fileFor(kind, subject);
  const partial = `${file}.${randomUUID()}`;
  try {
    mkdirSync(join(cacheFolder(), kind), { recursive: true });
    writeFileSync(partial, JSON.stringify({ of: keyOf(subject), held }));
    // The rename is atomic: a concurrent reader gets the old file or the new one, never half of one.
    renameSync(partial, file);
    return null;
  } catch (error) {
    removeIfThere(partial);
    return `${cacheFolder()} cannot be written: ${(error as Error).message}`;
  }
}

/** If the folder itself cannot be reached, there is nothing to remove. */
function removeIfThere(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It could not be written either.
  }
}

function fileFor(kind: StoreKind, subject: object): string {
  const name = createHash('sha256')
    .update(JSON.stringify(keyOf(subject)))
    .digest('hex')
    .slice(0, 32);
  return join(cacheFolder(), kind, `${name}.json`);
}

/** The key of a subject: another version of tandem or Node may run the same engine at another speed. */
function keyOf(subject: object): object {
  return { tandem: VERSION, node: process.versions.node.split('.')[0], ...subject };
}
