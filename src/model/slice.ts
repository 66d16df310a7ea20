/** A slice: the ops between two cuts, as the few words that cross the wall; the far side reads its own part of the model. */
import { checkCuts } from './cut.js';
import type { ModelFormat, ModelGraph } from './graph.js';

/** Plain data (structured clone). Ops are [from, to) of the model graph at `path`. */
export interface Slice {
  readonly format: ModelFormat;
  readonly path: string;
  readonly from: number;
  readonly to: number;
  /** Tensors that it reads from the slot, in order of birth. */
  readonly inputs: readonly string[];
  /** Tensors that it must leave in the slot: used by a later slice, or returned by the model. In order of birth. */
  readonly outputs: readonly string[];
}

/** Ops [from, to) as a slice. */
export function sliceOf(graph: ModelGraph, from: number, to: number): Slice {
  const ops = graph.ops.slice(from, to);
  const made = new Set(ops.flatMap((op) => op.outputs));
  const read = new Set(ops.flatMap((op) => op.inputs));
  const wantedLater = new Set([...graph.outputs, ...graph.ops.slice(to).flatMap((op) => op.inputs)]);
  const fed = graph.inputs.map(({ name }) => name);
  const before = [...fed, ...graph.ops.slice(0, from).flatMap((op) => op.outputs)];
  return {
    format: graph.format,
    path: graph.path,
    from,
    to,
    inputs: before.filter((name) => read.has(name)),
    outputs: [...made].filter((name) => wantedLater.has(name)),
  };
}

/** The n slices that n-1 cuts make. Throws TANDEM_CUT_ILLEGAL. */
export function slicesOf(graph: ModelGraph, cuts: readonly number[]): Slice[] {
  checkCuts(graph, cuts);
  const bounds = [0, ...cuts, graph.ops.length];
  return bounds.slice(1).map((to, n) => sliceOf(graph, bounds[n]!, to));
}
