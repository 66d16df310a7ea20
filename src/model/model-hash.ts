/** A hash of what a model computes, its weights' values apart: what was measured of one holds for all that share it. */
import { createHash } from 'node:crypto';
import { blockSignatures } from './block-signature.js';
import type { ModelGraph } from './graph.js';

/** Depends on ops, settings, wiring, names, dtypes and shapes; not on where the model lies. */
export function modelHash(graph: ModelGraph): string {
  const hash = createHash('sha256');
  const { format, inputs, outputs, ops, layers, weights } = graph;
  hash.update(JSON.stringify({ format, inputs, outputs, layers }));
  for (const { inputs: reads, outputs: makes, weights: held } of ops) hash.update(JSON.stringify([reads, makes, held]));
  for (const { name, dtype, shape, bytes } of weights.values())
    hash.update(JSON.stringify([name, dtype, shape, bytes]));
  for (const signature of blockSignatures(graph)) hash.update(signature);
  return hash.digest('hex');
}
