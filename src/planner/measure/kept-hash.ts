/** A model's hash, kept between runs together with the file's identity: hashing a large graph takes up to a tenth of a second. */
import { statSync } from 'node:fs';
import type { ModelGraph } from '../../model/graph.js';
import { modelHash, readingHash } from '../../model/model-hash.js';
import { readStored, store } from './store.js';

/** As `modelHash`. */
export function keptModelHash(graph: ModelGraph): string {
  const known = hashes.get(graph) ?? findOrMake(graph);
  hashes.set(graph, known);
  return known;
}

const hashes = new WeakMap<ModelGraph, string>();

function findOrMake(graph: ModelGraph): string {
  const identity = fileIdentity(graph.path);
  if (!identity) return modelHash(graph);
  const subject = { ...identity, reading: readingHash(graph) };
  const kept = readStored<{ hash: string }>('models', subject)?.hash;
  if (kept !== undefined) return kept;
  const hash = modelHash(graph);
  store('models', subject, { hash });
  return hash;
}

/** The file's identity; `null` if it is gone. Writing to a file or replacing it changes one of these values; no program can set ctime back. */
function fileIdentity(path: string): object | null {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (!stats) return null;
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  const [device, file, bytes, written, changed] = [dev, ino, size, mtimeNs, ctimeNs].map(String);
  return { path, device, file, bytes, written, changed };
}
