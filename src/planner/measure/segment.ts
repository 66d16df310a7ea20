/** Segments: ranges of layers that are measured as one, and which of them are of the same kind. */

import { blockSignatures } from '../../model/block-signature.js';
import { legalCuts, liveBytes } from '../../model/cut.js';
import { estimateFlops } from '../../model/flops.js';
import type { ModelGraph, TensorFacts } from '../../model/graph.js';
import type { LayerRange } from '../../plan/stage-options.js';
import { sum } from '../../sums.js';

/** Plain data. */
export interface Segment {
  /** Layers, both included. */
  readonly layers: LayerRange;
  /** Ops [from, to). */
  readonly ops: LayerRange;
  /** Segments of one kind compute the same on tensors of the same shapes, so one measurement serves all. Kinds count from 0. */
  readonly kind: number;
  /** Estimated work of one row, comparable within the model. */
  readonly work: number;
  /** For each of its layers the share of its time, by estimated work; they add up to 1. */
  readonly shares: readonly number[];
}

/** Kinds that are measured at most: each costs the loading of a slice. Finer layers are merged. */
const MAX_KINDS = 24;

/** Estimated cost of moving one output element, in FLOPs. */
const WORK_PER_ELEMENT = 40;

/** The model as segments, in order. A segment begins only at a cut point whose live tensors have a known size. */
export function segmentsOf(graph: ModelGraph, facts: TensorFacts): Segment[] {
  const work = workOf(graph, facts);
  const units = unitsOf(graph, facts);
  const kinds = kindsOf(graph, facts, units);
  if (new Set(kinds).size <= MAX_KINDS) return units.map((unit, n) => segment(graph, unit, kinds[n]!, work));
  const merged = merge(graph, units, work);
  const mergedKinds = kindsOf(graph, facts, merged);
  return merged.map((unit, n) => segment(graph, unit, mergedKinds[n]!, work));
}

/** Ranges of layers [from, to) between neighbouring cut points. */
function unitsOf(graph: ModelGraph, facts: TensorFacts): LayerRange[] {
  const legal = new Set(legalCuts(graph));
  const live = liveBytes(graph, facts, 1);
  const starts = graph.layers.flatMap(({ index, from }) =>
    index === 0 || (legal.has(from) && live[from] !== null) ? [index] : [],
  );
  return starts.map((from, n) => ({ from, to: starts[n + 1] ?? graph.layers.length }));
}

/** Merges neighbours until each range has its part of the work. */
function merge(graph: ModelGraph, units: readonly LayerRange[], work: readonly number[]): LayerRange[] {
  const target = sum(work) / MAX_KINDS;
  const merged: LayerRange[] = [];
  let from = 0;
  for (const { to } of units) {
    const held = sum(work.slice(from, to));
    if (held < target && to < graph.layers.length) continue;
    merged.push({ from, to });
    from = to;
  }
  return merged;
}

function kindsOf(graph: ModelGraph, facts: TensorFacts, units: readonly LayerRange[]): number[] {
  const ranges = units.map((unit) => opsOfUnit(graph, unit));
  const producers = producersOf(graph);
  const signatures = blockSignatures(graph, ranges).map((signature, n) => {
    const inputs = readsOf(graph, ranges[n]!, producers);
    return `${signature} ${inputs.map((name) => JSON.stringify(facts.get(name) ?? name)).join()}`;
  });
  const known = new Map<string, number>();
  return signatures.map((signature) => {
    const kind = known.get(signature) ?? known.size;
    known.set(signature, kind);
    return kind;
  });
}

/** The index of the op that produces each tensor; -1 for the model's inputs. In the order of production. */
function producersOf({ inputs, ops }: ModelGraph): ReadonlyMap<string, number> {
  const fed = inputs.map(({ name }) => [name, -1] as const);
  return new Map([...fed, ...ops.flatMap(({ index, outputs }) => outputs.map((name) => [name, index] as const))]);
}

/** Tensors that ops [from, to) read and earlier ops produce, in the order of production. */
function readsOf({ ops }: ModelGraph, { from, to }: LayerRange, producers: ReadonlyMap<string, number>): string[] {
  const names = new Set(ops.slice(from, to).flatMap(({ inputs }) => inputs));
  const before = [...names].filter((name) => (producers.get(name) ?? from) < from);
  return before.sort((a, b) => producers.get(a)! - producers.get(b)!);
}

function segment(graph: ModelGraph, unit: LayerRange, kind: number, work: readonly number[]): Segment {
  const own = work.slice(unit.from, unit.to);
  const total = sum(own);
  return {
    layers: { from: unit.from, to: unit.to - 1 },
    ops: opsOfUnit(graph, unit),
    kind,
    work: total,
    shares: own.map((each) => (total > 0 ? each / total : 1 / own.length)),
  };
}

function opsOfUnit(graph: ModelGraph, { from, to }: LayerRange): LayerRange {
  return { from: graph.layers[from]!.from, to: graph.layers[to - 1]!.to };
}

/** Estimated work of each layer for one row, comparable within a model. */
function workOf(graph: ModelGraph, facts: TensorFacts): number[] {
  const flops = estimateFlops(graph, facts);
  return graph.layers.map(({ from, to }) => {
    const elements = graph.ops
      .slice(from, to)
      .flatMap(({ outputs }) => outputs)
      .map((name) => facts.get(name)?.shape.reduce<number>((product, dim) => product * (dim ?? 1), 1) ?? 0);
    return sum(flops.slice(from, to)) + WORK_PER_ELEMENT * sum(elements);
  });
}
