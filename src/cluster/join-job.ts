/** The manifest of a job whose shards are started one by one, as by Slurm or Kubernetes: the first task writes it, the others find it and hold it against their own command. */
import { TandemError } from '../errors.js';
import type { RunListener } from '../job/run-listener.js';
import type { RunRequest } from '../job/run-request.js';
import { absoluteRequest, makeManifest } from './make-manifest.js';
import { MANIFEST_KEY, type Manifest, manifestBytes, parseManifest } from './manifest.js';
import type { Store } from './store.js';

/** The folder of an output's shards, where no other store is named. */
export function shardsFolder(output: string): string {
  return `${output}.shards`;
}

/** `null` if there is none. Throws TANDEM_SHARDS_DAMAGED, TANDEM_STORE_FAILED. */
export async function readManifest(store: Store): Promise<Manifest | null> {
  const bytes = await store.get(MANIFEST_KEY);
  return bytes && parseManifest(bytes, `${MANIFEST_KEY} of ${store.name}`);
}

/** Whether this call has written it; else one that was there stands. */
export function writeManifest(store: Store, manifest: Manifest): Promise<boolean> {
  return store.putIfAbsent(MANIFEST_KEY, manifestBytes(manifest));
}

/**
 * Throws TANDEM_JOURNAL_MISMATCH, with the names that differ, where the store has another job; and as `makeManifest`. Tasks that begin at once all
 * count the rows; one of their manifests stands.
 */
export async function joinJob(
  store: Store,
  request: RunRequest,
  shards: number,
  listener?: RunListener,
): Promise<Manifest> {
  const found = await readManifest(store);
  if (found) return checkSame(store, found, request, shards);
  const made = await makeManifest(request, { shards }, listener);
  if (await writeManifest(store, made)) return made;
  return checkSame(store, (await readManifest(store)) ?? made, request, shards);
}

function checkSame(store: Store, manifest: Manifest, request: RunRequest, shards: number): Manifest {
  const { microBatch, ...then } = manifest.request;
  const { microBatch: named, ...now } = JSON.parse(JSON.stringify(absoluteRequest(request))) as RunRequest;
  const differing = differences(then, now);
  if (named !== undefined && named !== microBatch) differing.push('microBatch');
  if (unitsFor(manifest, shards) !== manifest.shards.length) differing.push('number of shards');
  if (differing.length === 0) return manifest;
  throw new TandemError(
    'TANDEM_JOURNAL_MISMATCH',
    `the shards in ${store.name} were started with another ${differing.join(' and ')} than this command has`,
    {
      remedy:
        'give every task the same command but for the number of its shard, or remove what is in the store to start over',
    },
  );
}

/** Settings that no byte depends on may differ from task to task. */
const FREE = new Set(['depth', 'isolation', 'deadline', 'plan', 'stages', 'allowFallback']);

function differences(then: object, now: object): string[] {
  const [a, b] = [then, now] as [Record<string, unknown>, Record<string, unknown>];
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => !FREE.has(name));
  return names.filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]));
}

/** As many shards as a job has that was to have `shards`. */
function unitsFor({ rows, division }: Manifest, shards: number): number {
  return Math.min(shards, Math.ceil(rows / (division.lengths?.window ?? division.microBatch)));
}
