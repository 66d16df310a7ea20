/** Whether a value of a graph is a causal mask with the padding mask, and nothing more: no window of tokens, no bias by distance. */
import { elementCount } from '../../tensor.js';
import { readsOf } from '../onnx/order.js';
import type { OnnxModel } from '../onnx.js';

/** Ops that order two positions. A causal mask needs one; a window of tokens needs two. */
const ORDERS = new Set(['Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'Trilu']);

export function isMaskOf({ nodes, tensors, derived }: OnnxModel, name: string, mask: string): boolean {
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  const seen = new Set([name]);
  const ordering = new Set<unknown>();
  // The set grows during the iteration.
  for (const each of seen) {
    const tensor = tensors.get(each);
    if (tensor && tensor.element === FLOAT && elementCount(tensor.dims) > 1) return false;
    const node = makers.get(each) ?? derived.get(each);
    if (node && ORDERS.has(node.type)) ordering.add(node);
    // A length may come from any tensor, of which nothing else is used.
    if (node && node.type !== 'Shape') for (const read of readsOf(node)) seen.add(read);
  }
  return seen.has(mask) && ordering.size === 1;
}

/** TensorProto.FLOAT. */
const FLOAT = 1;
