/** Segments: the runs of layers that are measured as one, and which of them are the same thing again. */

import { blockSignatures } from '../model/block-signature.js';
import { legalCuts, liveBytes } from '../model/cut.js';
import { estimateFlops } from '../model/flops.js';
import type { ModelGraph, TensorFacts } from '../model/graph.js';
import { sliceOf } from '../model/slice.js';
import { sum } from '../sums.js';
import type { LayerRange } from './plan.js';

/** Plain data. */
export interface Segment {
  /** Layers, both included. */
  readonly layers: LayerRange;
  /** Ops [from, to). */
  readonly ops: LayerRange;
  /** Segments of one kind compute the same on tensors of the same shapes: one measurement serves them all. Kinds count from 0. */
  readonly kind: number;
  /** Counted work of one row, comparable within the model. */
  readonly work: number;
  /** For each of its layers the share of its time, by counted work; they add up to 1. */
  readonly shares: readonly number[];
}

/** Kinds that are measured at most: each costs the loading of a slice, so finer layers are measured several at a time. */
const MAX_KINDS = 24;

/** Counted work of an element that an op makes, in FLOPs: what moving it costs beside computing it. */
const WORK_PER_ELEMENT = 40;

/** The model as segments, in order. A segment begins only where the model can be cut and what lives there has a known size. */
export function segmentsOf(graph: ModelGraph, facts: TensorFacts): Segment[] {
  const work = workOf(graph, facts);
  const units = unitsOf(graph, facts);
  const kinds = kindsOf(graph, facts, units);
  if (new Set(kinds).size <= MAX_KINDS) return units.map((unit, n) => segment(graph, unit, kinds[n]!, work));
  const merged = merge(graph, units, work);
  const mergedKinds = kindsOf(graph, facts, merged);
  return merged.map((unit, n) => segment(graph, unit, mergedKinds[n]!, work));
}

/** Layers that no usable cut parts, as layers [from, to). */
function unitsOf(graph: ModelGraph, facts: TensorFacts): LayerRange[] {
  const legal = new Set(legalCuts(graph));
  const live = liveBytes(graph, facts, 1);
  const starts = graph.layers.flatMap(({ index, from }) =>
    index === 0 || (legal.has(from) && live[from] !== null) ? [index] : [],
  );
  return starts.map((from, n) => ({ from, to: starts[n + 1] ?? graph.layers.length }));
}

/** Neighbours put together until each run has its part of the work. */
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
  const signatures = blockSignatures(graph, ranges).map((signature, n) => {
    const { inputs } = sliceOf(graph, ranges[n]!.from, ranges[n]!.to);
    return `${signature} ${inputs.map((name) => JSON.stringify(facts.get(name) ?? name)).join()}`;
  });
  const known = new Map<string, number>();
  return signatures.map((signature) => {
    const kind = known.get(signature) ?? known.size;
    known.set(signature, kind);
    return kind;
  });
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

/** Counted work of each layer for one row, comparable within a model. */
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
