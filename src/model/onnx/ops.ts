/** Nodes as ops of the model graph: unique names, live values, weights. */
import type { Op, Weight } from '../graph.js';
import type { OnnxNode } from './node.js';
import { type Ordered, readsOf } from './order.js';
import { elementOf } from './schema.js';
import type { StoredTensor } from './stored-tensor.js';

/**
 * The ops in order. `returned` are the model's outputs: an output that is itself a weight counts as made by the last op,
 * so that the last slice returns it.
 */
export function opsOf(
  { ops, derived, behind }: Ordered,
  tensors: ReadonlyMap<string, StoredTensor>,
  returned: readonly string[],
): Op[] {
  const taken = new Set<string>();
  const storedBehind = (name: string) => (tensors.has(name) ? [name] : [...(behind.get(name) ?? [])]);
  return ops.map((node, index) => {
    const name = uniqueName(node, index, taken);
    const reads = readsOf(node);
    const outputs = node.outputs.filter((name) => name !== '');
    const last = index === ops.length - 1;
    return {
      index,
      name,
      type: node.domain === '' ? node.type : `${node.domain}.${node.type}`,
      inputs: reads.filter((name) => !tensors.has(name) && !derived.has(name)),
      outputs: last ? [...outputs, ...new Set(returned.filter((name) => tensors.has(name)))] : outputs,
      weights: [...new Set(reads.flatMap(storedBehind)), ...(insideBytes(node) > 0 ? [insideName(name)] : [])],
    };
  });
}

function uniqueName({ name, type, outputs }: OnnxNode, index: number, taken: Set<string>): string {
  const plain = name || outputs.find((output) => output !== '') || `${type}_${index}`;
  let unique = plain;
  while (taken.has(unique)) unique += `#${index}`;
  taken.add(unique);
  return unique;
}

/** Every weight: the model's own, and the tensors inside each op as one. */
export function weightsOf(
  tensors: ReadonlyMap<string, StoredTensor>,
  ops: readonly Op[],
  nodes: readonly OnnxNode[],
): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  for (const [name, { element, dims, bytes }] of tensors) {
    weights.set(name, { name, dtype: elementOf(element)?.name ?? '', shape: dims, bytes });
  }
  for (const [k, node] of nodes.entries()) {
    const name = insideName(ops[k]!.name);
    const bytes = insideBytes(node);
    if (bytes > 0) weights.set(name, { name, dtype: 'bytes', shape: [bytes], bytes });
  }
  return weights;
}

function insideBytes({ inside }: OnnxNode): number {
  return inside.reduce((sum, { bytes }) => sum + bytes, 0);
}

function insideName(op: string): string {
  return `inside ${op}`;
}
