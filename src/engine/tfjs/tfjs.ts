/** The tfjs engine: slices of LayersModels and GraphModels on TensorFlow, through tfjs-node or tfjs-node-gpu. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import type { ModelGraph, TensorFacts } from '../../model/graph.js';
import { readGraphModel } from '../../model/graph-model.js';
import { readLayersModel } from '../../model/layers-model.js';
import { readModelJson } from '../../model/open.js';
import type { Slice } from '../../model/slice.js';
import type { Tensor } from '../../tensor.js';
import { describeByRunning } from '../describe.js';
import type { Engine, EngineOptions, LoadedSlice } from '../engine.js';
import { engineFailure } from './failure.js';
import { loadGraphSlice } from './graph-slice.js';
import { layersFacts } from './layers-facts.js';
import { loadLayersSlice } from './layers-slice.js';
import { lend, readOut } from './lend.js';
import { deviceOf, openTfjs, type Tfjs } from './native.js';
import type { TfSlice } from './tf-slice.js';

export const tfjs: Engine = { name: 'tfjs', load, describe };

async function load(slice: Slice, { provider }: EngineOptions): Promise<LoadedSlice> {
  const tf = openTfjs(provider);
  const manifest = await readModelJson(slice.path);
  try {
    const loaded =
      slice.format === 'graph-model'
        ? await loadGraphSlice(tf, await readGraphModel(slice.path, manifest), slice)
        : await loadLayersSlice(tf, await readLayersModel(slice.path, manifest), slice);
    return { ...deviceOf(tf), ...onTensors(tf, loaded) };
  } catch (cause) {
    throw engineFailure('loading the slice', cause);
  }
}

async function describe(
  { format, path }: ModelGraph,
  { provider }: EngineOptions,
  feeds: readonly Tensor[],
): Promise<TensorFacts> {
  const tf = openTfjs(provider);
  const manifest = await readModelJson(path);
  try {
    if (format !== 'graph-model') return await layersFacts(tf, await readLayersModel(path, manifest), feeds);
    const graph = await readGraphModel(path, manifest);
    return await describeByRunning(graph, feeds, async (chunk) =>
      onTensors(tf, await loadGraphSlice(tf, graph, chunk)),
    );
  } catch (cause) {
    throw engineFailure('describing the model', cause);
  }
}

function onTensors(tf: Tfjs, slice: TfSlice): Pick<LoadedSlice, 'weightBytes' | 'run' | 'dispose'> {
  return { weightBytes: slice.weightBytes, run: (inputs) => run(tf, slice, inputs), dispose: () => slice.dispose() };
}

async function run(tf: Tfjs, slice: TfSlice, inputs: readonly Tensor[]): Promise<Tensor[]> {
  const held: TfTensor[] = [];
  try {
    for (const input of inputs) held.push(lend(tf, input));
    const made = await slice.run([...held]);
    held.push(...made);
    return made.map((tensor) => readOut(tensor, inputs));
  } catch (cause) {
    throw engineFailure('the slice', cause);
  } finally {
    // The memory behind the inputs is free again only when TensorFlow has let go of it.
    tf.dispose(held);
  }
}
