/** Builds tfjs-node's native addon from the package's two source files and the cached library, and installs it in the package. */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { addonFile, NAPI_VERSION } from '../engine/tfjs/installed.js';
import { errorLine, runCommand } from './command.js';
import { requireCompiler } from './compiler.js';
import { setupFailure } from './failure.js';
import { sha256Of } from './wheel.js';

/**
 * Links the package to the library and installs the addon. The addon looks for the library in `deps/lib` of its package, which becomes a
 * link to the cached `tensorflow/`; TensorFlow looks for `../nvidia` next to that folder. Throws TANDEM_SETUP_FAILED.
 */
export async function linkAddon(packageFolder: string, libraryFolder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const addon =
    (await builtAddon(packageFolder, libraryFolder)) ?? (await buildAddon(packageFolder, libraryFolder, env));
  await replace(join(packageFolder, 'deps', 'lib'), (path) => symlink(join(libraryFolder, 'tensorflow'), path));
  await replace(addonFile(packageFolder), (path) => copyFile(addon, path));
}

/** Removes the library and the addon from the package. */
export async function unlinkAddon(packageFolder: string): Promise<void> {
  for (const name of ['deps', 'lib']) await rm(join(packageFolder, name), { recursive: true, force: true });
}

/**
 * The addon in the cache, or null. Addons are cached with the library as `addon/RECIPE-CONTENT.node`, named by the hash of their sources
 * and their own hash, so that the next checkout needs no compiler.
 */
async function builtAddon(packageFolder: string, libraryFolder: string): Promise<string | null> {
  const folder = join(libraryFolder, 'addon');
  const recipe = await addonRecipe(packageFolder);
  for (const name of await readdir(folder).catch(() => [])) {
    const file = join(folder, name);
    if (name === `${recipe}-${await sha256Of(file)}.node`) return file;
  }
  return null;
}

async function buildAddon(packageFolder: string, libraryFolder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { command } = await requireCompiler(env);
  const folder = join(libraryFolder, 'addon');
  const partial = join(folder, `${process.pid}.partial`);
  await mkdir(folder, { recursive: true });
  const built = await runCommand(command, compileArguments(packageFolder, join(libraryFolder, 'tensorflow'), partial), {
    env,
  });
  if (built.status !== 0) {
    await rm(partial, { force: true });
    throw setupFailure(
      "cannot build TensorFlow's addon",
      `${command} reports "${errorLine(built)}"`,
      'use g++ 9 or newer (CXX=g++-12 chooses one), then run this again',
    );
  }
  const file = join(folder, `${await addonRecipe(packageFolder)}-${await sha256Of(partial)}.node`);
  await rename(partial, file);
  return file;
}

const SOURCES = ['tfjs_backend.cc', 'tfjs_binding.cc'];

const COMPILE = ['-std=c++17', '-O2', '-fPIC', '-shared', '-w', `-DNAPI_VERSION=${NAPI_VERSION}`];

const LINK = [
  ...['-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
  // Node unloads an addon with the last thread that used it, but TensorFlow's own threads continue and crash without its code.
  '-Wl,-z,nodelete',
  '-Wl,-rpath,$ORIGIN/../../deps/lib',
];

/** @param tensorflow the cached folder with the libraries and `include/`. */
function compileArguments(packageFolder: string, tensorflow: string, output: string): string[] {
  const { include_dir: nodeHeaders } = createRequire(import.meta.url)('node-api-headers') as { include_dir: string };
  const sources = SOURCES.map((name) => join(packageFolder, 'binding', name));
  const headers = [`-I${nodeHeaders}`, `-I${join(tensorflow, 'include')}`];
  return [...COMPILE, ...headers, ...sources, `-L${tensorflow}`, ...LINK, '-o', output];
}

/** A short hash of the package's sources and the compiler flags. */
export async function addonRecipe(packageFolder: string): Promise<string> {
  const hash = createHash('sha256').update([...COMPILE, ...LINK].join(' '));
  const folder = join(packageFolder, 'binding');
  for (const name of (await readdir(folder)).sort()) hash.update(await readFile(join(folder, name)));
  return hash.digest('hex').slice(0, 16);
}

/** Creates a file or link under another name and renames it, so that a process that loads the package meanwhile sees the old or the new one. */
async function replace(path: string, make: (path: string) => Promise<void>): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  await mkdir(dirname(path), { recursive: true });
  await make(partial);
  try {
    await rename(partial, path);
  } catch {
    // A folder cannot be replaced by a link atomically.
    await rm(path, { recursive: true, force: true });
    await rename(partial, path);
  }
}
