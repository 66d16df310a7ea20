/** The stages that a job starts with if none are named and nothing is measured: one worker, several, or a cut. */
import { readCores, readMachine } from '../machine/machine.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import type { StageOptions } from '../plan/stage-options.js';
import { isShort } from './job-rows.js';

/** Multiple of its weights that a worker may use: an engine may hold them twice while it loads. */
const ROOM = 3;

/** Bytes that a worker uses besides, for its engine and its activations. */
const BASE = 384 * 2 ** 20;

/** Workers that an untried job starts with at most: each must be loaded. */
const MOST_WORKERS = 8;

/** Whether memory suffices for so many workers that each hold the whole model. */
export function haveRoom(graph: ModelGraph, workers: number): boolean {
  return workers * (ROOM * weightBytes(graph, 0, graph.ops.length) + BASE) < readMachine().memory.free;
}

/**
 * One worker for a short job. Else workers that each hold the whole model, if memory suffices: they never wait for one another, as stages cut
 * by an estimate do. Else two stages, which hold the model once.
 */
export function firstStages(
  graph: ModelGraph,
  rows: number | null | undefined,
  mostWorkers = MOST_WORKERS,
): readonly StageOptions[] {
  const cores = readCores();
  if (cores < 2 || isShort(rows)) return [{ device: 'cpu' }];
  const workers = Math.min(cores, mostWorkers);
  if (haveRoom(graph, workers)) return [{ device: 'cpu', workers, threads: Math.floor(cores / workers) }];
  return twoStages(graph);
}

/** Two stages on the CPU; one if there is only one core or layer. */
export function twoStages({ layers }: Pick<ModelGraph, 'layers'>): readonly StageOptions[] {
  const most = Math.min(2, readCores(), Math.max(1, layers.length));
  return Array.from({ length: most }, () => ({ device: 'cpu' }));
}
