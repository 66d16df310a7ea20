/** The constant closure of ops, which is copied with them into every slice: the weights that they read, and the nodes that compute values from weights alone. */
import type { OnnxModel } from '../onnx.js';
import type { OnnxNode } from './node.js';
import { readsOf } from './order.js';
import type { StoredTensor } from './stored-tensor.js';

export interface ConstantClosure {
  /** In an order in which they can run. */
  readonly nodes: readonly OnnxNode[];
  readonly tensors: readonly StoredTensor[];
}

/** All weights and nodes that `names` depend on, directly or not. Results of ops are skipped. */
export function constantClosure({ tensors, derived }: OnnxModel, names: readonly string[]): ConstantClosure {
  const seen = new Set(names);
  const needed = new Set<OnnxNode>();
  const stored: StoredTensor[] = [];
  // The set grows during the iteration.
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
