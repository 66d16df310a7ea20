/** Cost: what a stage would take, in seconds and in bytes, reckoned from what was measured. */
import { isCpu } from '../engine/registry.js';
import { liveBytes } from '../model/cut.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { runningSums, sum } from '../sums.js';
import { factsOfProfile, type MeasuredCase, type Profile } from './profile.js';

/** Layers are [from, to) here. */
export interface StageCost {
  /** Seconds in which one worker computes one micro-batch. */
  seconds(from: number, to: number): number;
  /** Likewise for the computing alone: parts add up to the whole. */
  work(from: number, to: number): number;
  /** Bytes that a process with so many workers holds at its peak, without slots. */
  bytes(from: number, to: number, workers: number): number;
}

/** What holds for every stage of a plan. */
export interface CostContext {
  readonly graph: ModelGraph;
  readonly profile: Profile;
  readonly microBatch: number;
}

/**
 * Seconds: the measured times of the segments, made to add up to what the whole model took where that was measured too (kernels that
 * reach over two layers, what every call costs, weights that do not stay in the caches); half of the first and of the last layer's
 * tensors' way through a slot on each side.
 */
export function stageCost(context: CostContext, measured: MeasuredCase): StageCost {
  const { graph, profile, microBatch } = context;
  const layerSeconds = secondsOfLayers(profile, measured);
  const sums = runningSums(layerSeconds.seconds);
  const live = liveAtLayers(graph, factsOfProfile(profile), microBatch);
  const move = (k: number) => (live[k] ?? 0) * profile.secondsPerByte;
  return {
    seconds: (from, to) => layerSeconds.perCall + sums[to]! - sums[from]! + move(to) + (from > 0 ? move(from) : 0),
    work: (from, to) => sums[to]! - sums[from]!,
    bytes: memoryOf(context, measured),
  };
}

/** Bytes that live before each layer, and after the last one. */
export function liveAtLayers(graph: ModelGraph, facts: TensorFacts, rows: number): (number | null)[] {
  const live = liveBytes(graph, facts, rows);
  return [...graph.layers.map(({ from }) => live[from] ?? null), live[graph.ops.length] ?? null];
}

interface LayerSeconds {
  /** What a call costs however little it computes. */
  readonly perCall: number;
  /** Of each layer, besides that. */
  readonly seconds: readonly number[];
}

function secondsOfLayers({ segments }: Profile, { kinds, whole }: MeasuredCase): LayerSeconds {
  if (whole && kinds.length === 0) {
    const work = sum(segments.map((segment) => segment.work));
    const parts = segments.flatMap(({ shares, work: own }) => shares.map((share) => (share * own) / (work || 1)));
    return { perCall: 0, seconds: parts.map((part) => part * whole.seconds) };
  }
  const times = segments.map(({ kind }) => kinds[kind]!.seconds);
  const all = sum(times);
  const surplus = whole && times.length > 1 ? (all - whole.seconds) / (times.length - 1) : 0;
  const perCall = Math.max(0, Math.min(surplus, ...times));
  const rest = all - perCall * times.length;
  const factor = whole && rest > 0 ? Math.max(0, whole.seconds - perCall) / rest : 1;
  const seconds = segments.flatMap(({ shares }, n) => shares.map((share) => (times[n]! - perCall) * factor * share));
  return { perCall, seconds };
}

/** Room for what the system and the language runtime add while a job runs: up to 30 MiB in `bench/budget-sweep` (T, in ONNX Runtime). */
const RUNTIME_BYTES = 32 * 2 ** 20;

/**
 * An empty process, and for each worker its weights as the engine was seen to hold them and what it needed beside them: both of the
 * largest piece that was loaded. Weights count in full, also where the system maps a file and has not read all of it yet. On a
 * card, where the process does not show it: weights, and twice what lives.
 */
function memoryOf({ graph, profile, microBatch }: CostContext, measured: MeasuredCase): StageCost['bytes'] {
  const weights = (from: number, to: number) => weightBytes(graph, graph.layers[from]!.from, graph.layers[to - 1]!.to);
  const { emptyBytes } = measured;
  if (emptyBytes === null || !isCpu(measured.device)) {
    const live = liveAtLayers(graph, factsOfProfile(profile), microBatch);
    const most = (from: number, to: number) => Math.max(0, ...live.slice(from, to + 1).map((bytes) => bytes ?? 0));
    return (from, to, workers) => workers * (weights(from, to) + 2 * most(from, to));
  }
  const { held, workspace } = largestPiece(graph, profile, measured, emptyBytes);
  return (from, to, workers) => emptyBytes + RUNTIME_BYTES + workers * (weights(from, to) * held + workspace);
}

/** Bytes held for a byte of weights, and beside them. */
function largestPiece(graph: ModelGraph, { segments }: Profile, { kinds, whole }: MeasuredCase, empty: number) {
  const pieces = segments.flatMap(({ kind, ops }) =>
    kinds[kind] ? [{ bytes: weightBytes(graph, ops.from, ops.to), timing: kinds[kind] }] : [],
  );
  if (whole) pieces.push({ bytes: weightBytes(graph, 0, graph.ops.length), timing: whole });
  const { bytes, timing } = pieces.reduce((best, piece) => (piece.bytes >= best.bytes ? piece : best));
  const loaded = timing.loadedBytes ?? 0;
  return {
    held: bytes > 0 ? Math.max(1, (loaded - empty) / bytes) : 1,
    workspace: Math.max(0, (timing.peakBytes ?? 0) - Math.max(loaded, empty + bytes)),
  };
}
