/** Nodes as ops of the model graph: names that are unique, values that live, weights that they need. */
import type { Op, Weight } from '../graph.js';
import type { OnnxNode } from './node.js';
import { type Ordered, readsOf } from './order.js';
import { elementOf } from './schema.js';
import type { StoredTensor } from './stored-tensor.js';

/**
 * The ops in order. `returned` are the model's outputs: one that is a weight as it stands counts as made by the last op,
 * so that the last slice returns it.
 */
export function opsOf(
  { ops, derived }: Ordered,
  tensors: ReadonlyMap<string, StoredTensor>,
  returned: readonly string[],
): Op[] {
  const taken = new Set<string>();
  const stored = new Map<string, readonly string[]>();
  const storedBehind = (name: string): readonly string[] => {
    if (tensors.has(name)) return [name];
    const node = derived.get(name);
    if (!node) return [];
    const known = stored.get(name) ?? [...new Set(readsOf(node).flatMap(storedBehind))];
    stored.set(name, known);
    return known;
  };
  return ops.map((node, index) => {
    const reads = readsOf(node);
    const outputs = node.outputs.filter((name) => name !== '');
    const last = index === ops.length - 1;
    return {
      index,
      name: uniqueName(node, index, taken),
      type: node.domain === '' ? node.type : `${node.domain}.${node.type}`,
      inputs: reads.filter((name) => !tensors.has(name) && !derived.has(name)),
      outputs: last ? [...outputs, ...new Set(returned.filter((name) => tensors.has(name)))] : outputs,
      weights: [...new Set(reads.flatMap(storedBehind))],
    };
  });
}

function uniqueName({ name, type, outputs }: OnnxNode, index: number, taken: Set<string>): string {
  const plain = name || outputs.find((output) => output !== '') || `${type}_${index}`;
  const unique = taken.has(plain) ? `${plain}#${index}` : plain;
  taken.add(unique);
  return unique;
}

export function weightsOf(tensors: ReadonlyMap<string, StoredTensor>): Map<string, Weight> {
  return new Map(
    [...tensors].map(([name, { element, dims, bytes }]) => [
      name,
      { name, dtype: elementOf(element)?.name ?? '', shape: dims, bytes },
    ]),
  );
}
