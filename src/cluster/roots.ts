/** The folders that a worker may read and write in. What comes by the queue names paths; who can write to Redis could name any. */
import { realpath } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { TandemError } from '../errors.js';
import type { Manifest } from './manifest.js';

/** Throws TANDEM_WORKER_UNFIT if one of the job's paths, or its store, lies outside the folders; links are followed. */
export async function checkRoots(manifest: Manifest, store: string, roots: readonly string[]): Promise<void> {
  await checkInside(store, 'the store', roots);
  const { model, inputs, output } = manifest;
  await checkInside(model.path, 'the model', roots);
  for (const { path } of inputs) await checkInside(path, 'the input', roots);
  await checkInside(output.path, 'the output', roots);
}

/** A bucket is confined by its credentials. Throws TANDEM_WORKER_UNFIT. */
export async function checkInside(path: string, what: string, roots: readonly string[]): Promise<void> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(path)) return;
  const found = await real(resolve(path));
  for (const root of roots) {
    const way = relative(await real(resolve(root)), found);
    if (way === '' || !(way === '..' || way.startsWith('../'))) return;
  }
  throw new TandemError(
    'TANDEM_WORKER_UNFIT',
    `${what} ${path} lies outside the folders of this worker: ${roots.join(', ')}`,
    {
      remedy: `start the worker with --root ${dirname(path)} if it may read and write there`,
    },
  );
}

/** Of what does not exist yet, its folder is followed. */
async function real(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await real(parent), basename(path));
  }
}
