/** What travels with ops wherever they go: the weights that they read, and the nodes that make values of weights alone. */
import type { OnnxModel } from '../onnx.js';
import type { OnnxNode } from './node.js';
import { readsOf } from './order.js';
import type { StoredTensor } from './stored-tensor.js';

export interface Travelling {
  /** In an order in which they can run. */
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly StoredTensor[];
}

/** Everything that stands behind `names`, directly or not. Names that ops make are passed over. */
export function travelling({ tensors, derived }: OnnxModel, names: readonly string[]): Travelling {
  const seen = new Set(names);
  const needed = new Set<OnnxNode>();
  const stored: StoredTensor[] = [];
  // A set that is walked while it grows.
  for (const name of seen) {
    const tensor = tensors.get(name);
    if (tensor) stored.push(tensor);
    const node = derived.get(name);
    if (!node) continue;
    needed.add(node);
    for (const read of readsOf(node)) seen.add(read);
  }
  const nodes = needed.size === 0 ? [] : [...new Set(derived.values())].filter((node) => needed.has(node));
  return { nodes, tensors: stored };
}
