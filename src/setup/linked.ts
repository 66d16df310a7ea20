/** What a TensorFlow package is linked to: a small file beside the addon, so that "already linked" costs no loading. */
import { lstat, readdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { addonFile } from '../engine/tfjs/installed.js';
import { addonRecipe } from './addon.js';
import { looksWhole } from './library.js';
import type { EngineFacts } from './probe.js';

export interface Linked {
  /** Who brought the library: the package's own download, a wheel in the user's cache, or somebody by hand. */
  readonly by: 'package' | 'wheel' | 'hand';
  /** TensorFlow's version, as the loaded library told it. */
  readonly version: string;
  readonly device: 'CPU' | 'GPU';
  /** How tandem built the addon; empty where it did not. An addon of an older recipe is built again. */
  readonly recipe: string;
  /** Of the addon that was tried. */
  readonly addonBytes: number;
  readonly addonModified: number;
}

const stampFile = (packageFolder: string) => join(packageFolder, 'lib', 'tandem.json');

/** What the package was found to be linked to, if that still stands: the same addon, and its library's files in their sizes. */
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

/** The library as far as names and sizes show: links that lead somewhere, and for the cache's own the sizes that it wrote down. */
async function libraryStands(packageFolder: string, by: Linked['by']): Promise<boolean> {
  const folder = join(packageFolder, 'deps', 'lib');
  if (by === 'wheel') return looksWhole(dirname(await realpath(folder)));
  const names = await readdir(folder).catch(() => []);
  await Promise.all(names.map((name) => stat(join(folder, name))));
  return true;
}

/** Write down what a trial has shown. */
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

/** tandem gives a package one link where others leave a folder. */
export async function isLinkedByTandem(packageFolder: string): Promise<boolean> {
  return lstat(join(packageFolder, 'deps', 'lib')).then(
    (entry) => entry.isSymbolicLink(),
    () => false,
  );
}

export async function forgetLinked(packageFolder: string): Promise<void> {
  await rm(stampFile(packageFolder), { force: true });
}
