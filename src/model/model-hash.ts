/** A hash of what a model computes, without its weights' values: measurements are valid for all models with the same hash. */
import { createHash, type Hash } from 'node:crypto';
import { bytesOf } from '../tensor.js';
import { blockSignatures } from './block-signature.js';
import type { ModelGraph } from './graph.js';

/** Depends on ops, settings, wiring, names, dtypes and shapes, and on how the inputs are fed; not on the model's path. */
export function modelHash(graph: ModelGraph): string {
  const known = hashes.get(graph) ?? hashOf(graph);
  hashes.set(graph, known);
  return known;
}

/** Plans and measurements are looked up several times in a run, and a large model takes tens of milliseconds. */
const hashes = new WeakMap<ModelGraph, string>();

/** The part of a graph's hash that does not depend on the model file: the settings with which it was read. */
export function readingHash(graph: ModelGraph): string {
  const hash = createHash('sha256');
  addReading(hash, graph);
  return hash.digest('hex');
}

function addReading(hash: Hash, { format, inputs, outputs, layers, fixedBatch, inputRows }: ModelGraph): void {
  hash.update(JSON.stringify({ format, inputs, outputs, layers, fixedBatch }));
  for (const [name, { axis, value }] of inputRows ?? []) {
    hash.update(JSON.stringify([name, axis, value?.shape]));
    if (value) hash.update(bytesOf(value.data));
  }
}

function hashOf(graph: ModelGraph): string {
  const hash = createHash('sha256');
  addReading(hash, graph);
  const { ops, weights } = graph;
  for (const { inputs: reads, outputs: makes, weights: held } of ops) hash.update(JSON.stringify([reads, makes, held]));
  for (const { name, dtype, shape, bytes } of weights.values())
    hash.update(JSON.stringify([name, dtype, shape, bytes]));
  for (const signature of blockSignatures(graph)) hash.update(signature);
  return hash.digest('hex');
}
