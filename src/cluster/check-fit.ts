/** Whether this machine can run shards of a job with the bytes that any other machine would give them. */
import type { Manifest } from './manifest.js';
import { checkRoots } from './roots.js';
import { checkHere } from './run-shard.js';

/** Opens no pipeline. Throws TANDEM_WORKER_UNFIT, TANDEM_SHARDS_FOREIGN, and what reading the model and the input throws. */
export async function checkFit(manifest: Manifest, store: string, roots: readonly string[]): Promise<void> {
  await checkRoots(manifest, store, roots);
  await checkHere(manifest);
}
