/** The record of a linked TensorFlow package: a small file next to the addon, so that an existing link is recognised without loading it. */
import { lstat, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { EngineFacts } from '../engine/entry.js';
import { addonFile } from '../engine/tfjs/installed.js';
import { addonRecipe } from './addon.js';
import { hasAllFiles } from './library.js';

export interface Linked {
  /** Source of the library: the package's own download, a wheel in the user's cache, or a link by hand. */
  readonly by: 'package' | 'wheel' | 'hand';
  /** TensorFlow's version, from the loaded library. */
  readonly version: string;
  readonly device: 'CPU' | 'GPU';
  /** Hash of the sources and flags of the addon; empty if tandem did not build it. An addon with another recipe is built again. */
  readonly recipe: string;
  /** Hash and size of the addon that was tested. */
  readonly addonBytes: number;
  readonly addonModified: number;
}

const stampFile = (packageFolder: string) => join(packageFolder, 'lib', 'tandem.json');

/** The recorded link if it is still valid: the same addon, and the library's files with their sizes. */
export async function readLinked(packageFolder: string): Promise<Linked | null> {
  try {
    const linked = JSON.parse(await readFile(stampFile(packageFolder), 'utf8')) as Linked;
    const { size, mtimeMs } = await stat(addonFile(packageFolder));
    if (size !== linked.addonBytes || mtimeMs !== linked.addonModified) return null;
    if (linked.recipe !== (await recipeOf(packageFolder, linked.by))) return null;
    return (await libraryStands(packageFolder, linked.by)) ? linked : null;
  } catch {
    return null;
  }
}

/** Checks the library by names and sizes: links must resolve, and files in the cache must have their recorded sizes. */
async function libraryStands(packageFolder: string, by: Linked['by']): Promise<boolean> {
  const folder = join(packageFolder, 'deps', 'lib');
  if (by === 'wheel') return hasAllFiles(dirname(await realpath(folder)));
  const names = await readdir(folder).catch(() => []);
  await Promise.all(names.map((name) => stat(join(folder, name))));
  return true;
}

/** Records the result of a test. */
export async function writeLinked(
  packageFolder: string,
  by: Linked['by'],
  { version, device }: EngineFacts,
): Promise<Linked> {
  const { size, mtimeMs } = await stat(addonFile(packageFolder));
  const recipe = await recipeOf(packageFolder, by);
  const linked: Linked = { by, version, device, recipe, addonBytes: size, addonModified: mtimeMs };
  const file = stampFile(packageFolder);
  await writeFile(`${file}.partial`, JSON.stringify(linked));
  await rename(`${file}.partial`, file);
  return linked;
}

async function recipeOf(packageFolder: string, by: Linked['by']): Promise<string> {
  return by === 'wheel' ? addonRecipe(packageFolder) : '';
}

/** Whether `deps/lib` is a link, which only tandem creates; other tools leave a folder. */
export async function isLinkedByTandem(packageFolder: string): Promise<boolean> {
  return lstat(join(packageFolder, 'deps', 'lib')).then(
    (entry) => entry.isSymbolicLink(),
    () => false,
  );
}

export async function forgetLinked(packageFolder: string): Promise<void> {
  await rm(stampFile(packageFolder), { force: true });
}
