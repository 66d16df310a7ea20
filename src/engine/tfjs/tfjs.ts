/** The tfjs engine: slices of LayersModels and GraphModels on TensorFlow, through tfjs-node or tfjs-node-gpu. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { TandemError } from '../../errors.js';
import { readGraphModel } from '../../model/graph-model.js';
import { readLayersModel } from '../../model/layers-model.js';
import { readModelJson } from '../../model/open.js';
import type { Slice } from '../../model/slice.js';
import type { Tensor } from '../../tensor.js';
import type { Engine, EngineOptions, LoadedSlice } from '../engine.js';
import { engineFailure } from './failure.js';
import { loadGraphSlice } from './graph-slice.js';
import { loadLayersSlice } from './layers-slice.js';
import { lend, readOut } from './lend.js';
import { deviceOf, openTfjs, type Tfjs } from './native.js';
import type { TfSlice } from './tf-slice.js';

export const tfjs: Engine = {
  name: 'tfjs',
  load,
  describe: () => Promise.reject(new TandemError('TANDEM_INTERNAL', 'describe is not there yet')),
};

async function load(slice: Slice, { provider }: EngineOptions): Promise<LoadedSlice> {
  const tf = openTfjs(provider);
  const loaded = await loadSlice(tf, slice);
  return {
    ...deviceOf(tf),
    weightBytes: loaded.weightBytes,
    run: (inputs) => run(tf, loaded, inputs),
    dispose: () => loaded.dispose(),
  };
}

async function loadSlice(tf: Tfjs, slice: Slice): Promise<TfSlice> {
  const manifest = await readModelJson(slice.path);
  return slice.format === 'graph-model'
    ? loadGraphSlice(tf, await readGraphModel(slice.path, manifest), slice)
    : loadLayersSlice(tf, await readLayersModel(slice.path, manifest), slice);
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
