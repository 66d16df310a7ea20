/** The tfjs engine: slices of LayersModels and GraphModels on TensorFlow (tfjs-node, tfjs-node-gpu), WebGPU or WebAssembly. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import type { ModelGraph, TensorFacts } from '../../model/graph.js';
import { readGraphModel } from '../../model/graph-model.js';
import { readLayersModel } from '../../model/layers-model.js';
import { readModelJson } from '../../model/open.js';
import type { Slice } from '../../model/slice.js';
import type { Tensor } from '../../tensor.js';
import { describeByRunning } from '../describe.js';
import type { Engine, EngineOptions, LoadedSlice } from '../engine.js';
import { nativeBackend } from './binding.js';
import { engineFailure } from './failure.js';
import { loadGraphSlice } from './graph-slice.js';
import { layersFacts } from './layers-facts.js';
import { loadLayersSlice } from './layers-slice.js';
import { lend, readOut } from './lend.js';
import type { Opened } from './opened.js';
import { openProvider } from './provider.js';
import { release } from './release.js';
import { taped } from './taped-slice.js';
import type { TfSlice } from './tf-slice.js';

export const tfjs: Engine = { name: 'tfjs', load, describe };

async function load(slice: Slice, { provider, deviceIndex }: EngineOptions): Promise<LoadedSlice> {
  const opened = await openProvider(provider, deviceIndex);
  const { tf, ranOn, deviceName } = opened;
  const manifest = await readModelJson(slice.path);
  try {
    const loaded =
      slice.format === 'graph-model'
        ? await loadGraphSlice(tf, await readGraphModel(slice.path, manifest), slice)
        : await loadLayersSlice(tf, await readLayersModel(slice.path, manifest), slice);
    return { ranOn, deviceName, ...onTensors(opened, taped(tf, loaded)) };
  } catch (cause) {
    throw engineFailure('loading the slice', cause);
  }
}

async function describe(
  { format, path, inputRows, fixedBatch }: ModelGraph,
  { provider, deviceIndex }: EngineOptions,
  feeds: readonly Tensor[],
): Promise<TensorFacts> {
  const opened = await openProvider(provider, deviceIndex);
  const { tf } = opened;
  const manifest = await readModelJson(path);
  try {
    const settled = { inputRows: inputRows ?? new Map(), fixedBatch };
    if (format !== 'graph-model')
      return await layersFacts(tf, { ...(await readLayersModel(path, manifest)), ...settled }, feeds);
    const graph = { ...(await readGraphModel(path, manifest)), ...settled };
    return await describeByRunning(graph, feeds, async (chunk) =>
      onTensors(opened, await loadGraphSlice(tf, graph, chunk)),
    );
  } catch (cause) {
    throw engineFailure('describing the model', cause);
  }
}

function onTensors(
  { tf, watch }: Opened,
  slice: TfSlice,
): Pick<LoadedSlice, 'weightBytes' | 'run' | 'release' | 'dispose'> {
  return {
    weightBytes: slice.weightBytes,
    run: (inputs) => watch(() => run(tf, slice, inputs)),
    release: nativeBackend(tf) ? release : undefined,
    dispose: () => slice.dispose(),
  };
}

async function run(tf: Opened['tf'], slice: TfSlice, inputs: readonly Tensor[]): Promise<Tensor[]> {
  const held: TfTensor[] = [];
  try {
    for (const input of inputs) held.push(lend(tf, input));
    const made = await slice.run([...held]);
    held.push(...made);
    return await Promise.all(made.map((tensor) => readOut(tf, tensor, inputs)));
  } catch (cause) {
    throw engineFailure('the slice', cause);
  } finally {
    // The memory of the inputs is free only after TensorFlow has released it.
    tf.dispose(held);
  }
}
