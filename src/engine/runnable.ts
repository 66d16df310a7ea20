/** A model with its engines: their forbidden cuts are merged into the graph's. */
import type { ModelGraph } from '../model/graph.js';
import { readModel } from '../model/open.js';
import { usableEngines } from './choose.js';
import type { EngineEntry } from './entry.js';
import { isHere } from './preference.js';

/** Settings for reading a model. */
export interface ReadOptions {
  /** Inputs that have a value in the model and are given another. */
  readonly fed?: readonly string[] | undefined;
  /** The engine to take: the id of one in the list, or the module of one of the user's own. */
  readonly engine?: string | URL | undefined;
}

/** As `readModel`, for the engines of its format. Throws as `readModel`, and TANDEM_USAGE and TANDEM_ENGINE_MISSING. */
export async function readRunnable(path: string, { fed = [], engine }: ReadOptions = {}): Promise<ModelGraph> {
  return withEngines(await readModel(path, fed), engine);
}

/**
 * The graph for its engines. An engine that cannot run the model at all is left out. If it was asked for, or no installed engine
 * is left, its error is thrown.
 */
async function withEngines(graph: ModelGraph, asked?: string | URL): Promise<ModelGraph> {
  const engines: EngineEntry[] = [];
  const cuts = new Set<number>();
  let refusal: unknown;
  for (const entry of await usableEngines(graph.format, asked)) {
    try {
      for (const k of await entry.forbiddenCuts(graph)) cuts.add(k);
      engines.push(entry);
    } catch (error) {
      if (asked !== undefined && engines.length === 0) throw error;
      refusal ??= error;
    }
  }
  if (refusal !== undefined && !engines.some(isHere)) throw refusal;
  return { ...(await withForbiddenCuts(graph, cuts)), engines: engines.map(({ id }) => id) };
}

/** The graph with more forbidden cuts. Layers begin at legal cuts, so those of an ONNX model are computed again. */
async function withForbiddenCuts(graph: ModelGraph, cuts: ReadonlySet<number>): Promise<ModelGraph> {
  const forbiddenCuts = new Set([...graph.forbiddenCuts, ...cuts]);
  if (forbiddenCuts.size === graph.forbiddenCuts.size) return graph;
  const layers =
    graph.format === 'onnx' ? (await import('../model/onnx.js')).layersWithin(graph, forbiddenCuts) : graph.layers;
  return { ...graph, forbiddenCuts, layers };
}
