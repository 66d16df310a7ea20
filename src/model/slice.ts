/** A slice: the ops between two cuts, as plain data that crosses the thread or process boundary; the other side reads its own part of the model. */
import { lifetimes, livesAcross } from '../liveness.js';
import { checkCuts } from './cut.js';
import type { ModelFormat, ModelGraph } from './graph.js';

/** Plain data (structured clone). Ops are [from, to) of the model graph at `path`. */
export interface Slice {
  readonly format: ModelFormat;
  readonly path: string;
  /** As of the graph, whose ops it numbers. */
  readonly fed?: readonly string[] | undefined;
  readonly from: number;
  readonly to: number;
  /** Tensors that it reads from the slot, in the order in which they are made. */
  readonly inputs: readonly string[];
  /** Tensors that it must write to the slot: read by a later slice, or returned by the model. In the order in which they are made. */
  readonly outputs: readonly string[];
}

/** The key of the slice among those of the same model. */
export function keyOf({ from, to }: Pick<Slice, 'from' | 'to'>): string {
  return `${from}..${to}`;
}

/** Ops [from, to) as a slice. */
export function sliceOf(graph: ModelGraph, from: number, to: number): Slice {
  const fed = graph.inputs.map(({ name }) => name);
  const lives = [...lifetimes(graph.ops, { fed, kept: graph.outputs })];
  const read = new Set(graph.ops.slice(from, to).flatMap((op) => op.inputs));
  return {
    format: graph.format,
    path: graph.path,
    ...(graph.fed ? { fed: graph.fed } : {}),
    from,
    to,
    inputs: lives.flatMap(([name, { born }]) => (born < from && read.has(name) ? [name] : [])),
    outputs: lives.flatMap(([name, life]) => (life.born >= from && livesAcross(life, to) ? [name] : [])),
  };
}

/** The n slices that n-1 cuts make. Throws TANDEM_CUT_ILLEGAL. */
export function slicesOf(graph: ModelGraph, cuts: readonly number[]): Slice[] {
  checkCuts(graph, cuts);
  const bounds = [0, ...cuts, graph.ops.length];
  return bounds.slice(1).map((to, n) => sliceOf(graph, bounds[n]!, to));
}
