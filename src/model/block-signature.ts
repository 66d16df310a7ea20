/** A block's signature, for every format: equal for blocks that compute the same from other weights. */
import { createHash } from 'node:crypto';
import type { Layer, ModelGraph } from './graph.js';
import type { GraphModelGraph } from './graph-model.js';
import type { LayersModelGraph } from './layers-model.js';
import { onnxBlockSignatures } from './onnx/block-signature.js';

type OpRange = Pick<Layer, 'from' | 'to'>;

/**
 * For each of `layers` a hash of its op types, settings, wiring, and of its weights' dtypes and shapes; names do not count. Blocks with
 * equal signatures do equal work on inputs of equal shapes.
 */
export function blockSignatures(graph: ModelGraph, layers: readonly OpRange[] = graph.layers): string[] {
  if (graph.format === 'onnx') return onnxBlockSignatures(graph, layers);
  const settings =
    graph.format === 'layers-model' ? layerSettings(graph as LayersModelGraph) : nodeSettings(graph as GraphModelGraph);
  return layers.map((layer) => signatureOf(graph, settings, layer));
}

function signatureOf(graph: ModelGraph, settings: readonly string[], { from, to }: OpRange): string {
  const hash = createHash('sha256');
  const numbers = new Map<string, number>();
  const numbered = (names: readonly string[]) =>
    names.map((name) => numbers.get(name) ?? numbers.set(name, numbers.size).size - 1).join();
  for (const { index, type, inputs, outputs, weights } of graph.ops.slice(from, to)) {
    const shapes = weights.map((name) => graph.weights.get(name)).map((weight) => `${weight?.dtype}[${weight?.shape}]`);
    hash.update(`${type}(${numbered(inputs)})${numbered(outputs)};`);
    // One weight that is read twice differs from two weights.
    hash.update(`${numbered(weights)}:${shapes.join()};${settings[index]};`);
  }
  const after = new Set([...graph.outputs, ...graph.ops.slice(to).flatMap((op) => op.inputs)]);
  const made = graph.ops.slice(from, to).flatMap((op) => op.outputs);
  return hash.update(`out ${numbered(made.filter((name) => after.has(name)))}`).digest('hex');
}

/** Settings that do not change what a layer computes: of training, and names. */
const NOT_COMPUTED = /^(name|trainable|seed|.*_(initializer|regularizer|constraint))$/;

/** For each op its layer's config. */
function layerSettings({ calls }: LayersModelGraph): string[] {
  return calls.map(({ config }) =>
    JSON.stringify(config, (key, value) => (NOT_COMPUTED.test(key) ? undefined : value)),
  );
}

/** For each op its node's attributes, without the converter's notes. */
function nodeSettings({ nodes }: GraphModelGraph): string[] {
  return nodes.map(({ attr }) => JSON.stringify([...attr].filter(([key]) => !key.startsWith('_')).sort()));
}
