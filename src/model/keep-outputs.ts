/** A model without the outputs that no row has of its own (behind ops that let through as many values as they find), where nobody asked for these. */
import type { ModelGraph } from './graph.js';

/** `names` are the public names of the outputs that are wanted. Layers behind the last of them go too. ONNX only; other models stay as they are. */
export function keepOutputs(graph: ModelGraph, names: readonly string[]): ModelGraph {
  const isWanted = (name: string) => names.includes(graph.outputNames?.get(name) ?? name);
  const outputs = graph.outputs.filter((name) => isWanted(name) || countingOpOf(graph, name) === null);
  if (graph.format !== 'onnx' || outputs.length === graph.outputs.length || outputs.length === 0) return graph;
  const end = 1 + graph.ops.findLastIndex((op) => op.outputs.some((name) => outputs.includes(name)));
  const layers = graph.layers.flatMap((layer) => (layer.from < end ? [{ ...layer, to: Math.min(layer.to, end) }] : []));
  return { ...graph, outputs, ops: graph.ops.slice(0, end), layers };
}

/** Ops that let through as many values as they find. */
const COUNTING = /^(NonMaxSuppression(V\d)?|NonZero|Where|Compress|Unique|EfficientNMS_TRT|BatchedNMS.*)$/;

/** The op for which an output has as many entries as were found in the rows: the last one before it; `null` where there is none. */
export function countingOpOf({ ops }: Pick<ModelGraph, 'ops'>, output: string): ModelGraph['ops'][number] | null {
  const wanted = new Set([output]);
  for (const op of ops.toReversed()) {
    if (!op.outputs.some((name) => wanted.has(name))) continue;
    if (COUNTING.test(op.type) && (op.type !== 'Where' || op.inputs.length + op.weights.length === 1)) return op;
    for (const name of op.inputs) wanted.add(name);
  }
  return null;
}
