/** Cost: the seconds and bytes of a stage, estimated from measurements. */
import { isCpu } from '../../engine/device.js';
import { type ModelGraph, weightBytes } from '../../model/graph.js';
import { runningSums, sum } from '../../sums.js';
import type { MeasuredCase, Profile } from '../measure/profile.js';
import type { Timing } from '../measure/stopwatch.js';
import { layerTablesOf, type ProfiledModel } from './layer-tables.js';

/** Ranges of layers are [from, to). */
export interface StageCost {
  /** Seconds in which one worker computes one micro-batch. */
  seconds(from: number, to: number): number;
  /** The same without moving tensors and without the cost of a call: the parts of a range add up to the whole. */
  work(from: number, to: number): number;
  /** Peak bytes of a process with so many workers, slots not included. */
  bytes(from: number, to: number, workers: number): number;
  /** The same if each worker holds `weights` bytes of weights, in `sessions` slices. */
  bytesWith(weights: number, workers: number, sessions: number): number;
  /** Seconds that a cut before layer k costs within a stage: another call, and the tensors there are moved in and out. */
  hop(k: number): number;
  /** Seconds to load a byte of weights. */
  readonly loadSecondsPerByte: number;
}

/**
 * Seconds: the measured times of the segments, scaled to add up to the time of the whole model if that was measured too. They differ because
 * kernels span layers, every call has a cost, and weights drop out of the caches. Half of the time to move the first and the last layer's
 * tensors through a slot is counted on each side.
 */
export function stageCost(profiled: ProfiledModel, measured: MeasuredCase): StageCost {
  const { profile } = profiled;
  const layerSeconds = secondsOfLayers(profile, measured);
  const sums = runningSums(layerSeconds.seconds);
  const { live } = layerTablesOf(profiled);
  const moves = live.map((bytes) => (bytes ?? 0) * profile.secondsPerByte);
  return {
    seconds: (from, to) => layerSeconds.perCall + sums[to]! - sums[from]! + moves[to]! + (from > 0 ? moves[from]! : 0),
    work: (from, to) => sums[to]! - sums[from]!,
    ...memoryOf(profiled, measured),
    hop: (k) => layerSeconds.perCall + 2 * moves[k]!,
  };
}

interface LayerSeconds {
  /** Seconds of a call, however little it computes. */
  readonly perCall: number;
  /** Seconds of each layer, without the call. */
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

/** Bytes that the system and the language runtime add while a job runs: up to 30 MiB in `bench/budget-sweep` (T, in ONNX Runtime). */
const RUNTIME_BYTES = 32 * 2 ** 20;

/**
 * An empty process, and for each worker its weights and its workspace. Both come from the largest slice that was loaded: how many bytes the
 * engine holds for a byte of weights, and how many besides. All weights count, even if the system maps a file and has not read all of it yet.
 * A card's memory does not show in the process: there it is the weights and twice the largest live tensors.
 */
function memoryOf(
  profiled: ProfiledModel,
  measured: MeasuredCase,
): Pick<StageCost, 'bytes' | 'bytesWith' | 'loadSecondsPerByte'> {
  const { weights, mostLive } = layerTablesOf(profiled);
  const { emptyBytes } = measured;
  const { held, workspace, loadSecondsPerByte } = largestSlice(
    profiled.graph,
    profiled.profile,
    measured,
    emptyBytes ?? 0,
  );
  if (emptyBytes === null || !isCpu(measured.device)) {
    const most = mostLive(0, profiled.graph.layers.length);
    return {
      bytes: (from, to, workers) => workers * (weights(from, to) + 2 * mostLive(from, to)),
      bytesWith: (bytes, workers) => workers * (bytes + 2 * most),
      loadSecondsPerByte,
    };
  }
  const bytesWith: StageCost['bytesWith'] = (bytes, workers, sessions) =>
    emptyBytes + RUNTIME_BYTES + workers * (bytes * held + sessions * workspace);
  return { bytes: (from, to, workers) => bytesWith(weights(from, to), workers, 1), bytesWith, loadSecondsPerByte };
}

/** Seconds to load a byte of weights, where it was not measured: ONNX Runtime, page cache warm (1.25 to 1.67 s/GB on a Zen 3 EPYC). */
const LOAD_SECONDS_PER_BYTE = 1.5e-9;

/** `held`: bytes in memory for each byte of weights. `workspace`: bytes besides. */
function largestSlice(graph: ModelGraph, { segments }: Profile, { kinds, whole }: MeasuredCase, empty: number) {
  const slices = segments.flatMap(({ kind, ops }) =>
    kinds[kind] ? [{ bytes: weightBytes(graph, ops.from, ops.to), timing: kinds[kind] }] : [],
  );
  if (whole) slices.push({ bytes: weightBytes(graph, 0, graph.ops.length), timing: whole });
  const { bytes, timing } = slices.reduce((best, each) => (each.bytes >= best.bytes ? each : best));
  const loaded = timing.loadedBytes ?? 0;
  return {
    loadSecondsPerByte: loadPaceOf(slices),
    held: bytes > 0 ? Math.max(1, (loaded - empty) / bytes) : 1,
    workspace: Math.max(0, (timing.peakBytes ?? 0) - Math.max(loaded, empty + bytes)),
  };
}

/**
 * Seconds to load a byte of weights: the slope between the smallest and the largest slice, since a first load also reads the model's structure, which
 * a stage that rotates keeps.
 */
function loadPaceOf(slices: readonly { readonly bytes: number; readonly timing: Timing }[]): number {
  const timed = slices.filter(({ timing }) => timing.loadSeconds !== undefined).sort((a, b) => a.bytes - b.bytes);
  const [small, large] = [timed[0], timed.at(-1)];
  if (!small || !large || large.bytes < 2 * small.bytes + 2 ** 20) return LOAD_SECONDS_PER_BYTE;
  const slope = (large.timing.loadSeconds! - small.timing.loadSeconds!) / (large.bytes - small.bytes);
  return slope > 0 ? slope : LOAD_SECONDS_PER_BYTE;
}
