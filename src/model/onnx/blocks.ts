/** Ops grouped into the blocks that a person sees. */
import type { Layer, Op } from '../graph.js';

export function layersOf(ops: readonly Op[]): Layer[] {
  return ops.map(({ index, name, type }) => ({ index, name, type, from: index, to: index + 1 }));
}
