/**
 * Tables of a profiled model that a search reads again and again: live bytes before each layer, the weights of any range of layers, and the
 * cut points.
 */
import { legalCuts, liveBytes } from '../../model/cut.js';
import type { ModelGraph } from '../../model/graph.js';
import { factsOfProfile, type Profile } from '../measure/profile.js';

/** Ranges of layers are [from, to). A cut point is the first layer of a stage. */
export interface LayerTables {
  /** Bytes of live tensors before each layer, and after the last one; `null` where they are unknown. */
  readonly live: readonly (number | null)[];
  /** Bytes of the weights; a weight that several layers read counts once. */
  weights(from: number, to: number): number;
  /** The most live bytes before any of the layers. */
  mostLive(from: number, to: number): number;
  readonly isCutPoint: (k: number) => boolean;
}

/** A model with its profile, for one size of the micro-batch. */
export interface ProfiledModel {
  readonly graph: ModelGraph;
  readonly profile: Profile;
  readonly microBatch: number;
}

/** Cut points that are searched at most. If there are more, those are taken that split the work evenly. */
const MOST_CUT_POINTS = 512;

const cache = new WeakMap<Profile, Map<string, LayerTables>>();

export function layerTablesOf({ graph, profile, microBatch }: ProfiledModel): LayerTables {
  const own = cache.get(profile) ?? new Map<string, LayerTables>();
  cache.set(profile, own);
  const key = `${microBatch}`;
  const tables = own.get(key) ?? makeTables(graph, profile, microBatch);
  own.set(key, tables);
  return tables;
}

function makeTables(graph: ModelGraph, profile: Profile, rows: number): LayerTables {
  const bytes = liveBytes(graph, factsOfProfile(profile), rows);
  const live = [...graph.layers.map(({ from }) => bytes[from] ?? null), bytes[graph.ops.length] ?? null];
  const cutPoints = cutPointsOf(graph, profile, live);
  return {
    live,
    weights: byFrom((from) => weightsFrom(graph, from)),
    mostLive: byFrom((from) => mostFrom(live, from)),
    isCutPoint: (k) => cutPoints.has(k),
  };
}

/** A row of the table is computed when it is first read: few layers are ever the first of a stage. */
function byFrom(rowOf: (from: number) => Float64Array): (from: number, to: number) => number {
  const rows: Float64Array[] = [];
  return (from, to) => {
    rows[from] ??= rowOf(from);
    return rows[from]![to]!;
  };
}

/** Bytes of weights of layers [from, to), by `to`. A weight that several ops read is held once. */
function weightsFrom(graph: ModelGraph, from: number): Float64Array {
  const { layers, ops, weights } = graph;
  const sums = new Float64Array(layers.length + 1);
  const seen = new Set<string>();
  for (let k = from; k < layers.length; k++) {
    let own = 0;
    for (let op = layers[k]!.from; op < layers[k]!.to; op++) {
      for (const name of ops[op]!.weights) {
        if (!seen.has(name)) own += weights.get(name)?.bytes ?? 0;
        seen.add(name);
      }
    }
    sums[k + 1] = sums[k]! + own;
  }
  return sums;
}

function mostFrom(live: readonly (number | null)[], from: number): Float64Array {
  const most = new Float64Array(live.length);
  for (let k = from; k < live.length; k++) most[k] = Math.max(live[k] ?? 0, k > from ? most[k - 1]! : 0);
  return most;
}

function cutPointsOf(graph: ModelGraph, { segments }: Profile, live: readonly (number | null)[]): ReadonlySet<number> {
  const legal = new Set(legalCuts(graph));
  const all = graph.layers.flatMap(({ index, from }) => (legal.has(from) && live[index] !== null ? [index] : []));
  if (all.length <= MOST_CUT_POINTS) return new Set(all);
  const workOf = segments.flatMap(({ work, shares }) => shares.map((share) => share * work));
  const part = workOf.reduce((total, each) => total + each, 0) / MOST_CUT_POINTS;
  const cutPoints = new Set<number>();
  let [k, held, next] = [0, 0, part];
  for (const cutPoint of all) {
    for (; k < cutPoint; k++) held += workOf[k]!;
    if (held < next) continue;
    cutPoints.add(cutPoint);
    next = held + part;
  }
  return cutPoints;
}
