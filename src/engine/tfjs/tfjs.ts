/** The tfjs engine: slices of LayersModels and GraphModels on TensorFlow, through tfjs-node or tfjs-node-gpu. */
import { TandemError } from '../../errors.js';
import { readLayersModel } from '../../model/layers-model.js';
import { readModelJson } from '../../model/open.js';
import type { Slice } from '../../model/slice.js';
import type { Tensor } from '../../tensor.js';
import type { Engine, EngineOptions, LoadedSlice } from '../engine.js';
import { engineFailure } from './failure.js';
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
  const graph = await readLayersModel(slice.path, await readModelJson(slice.path));
  const loaded = await loadLayersSlice(tf, graph, slice);
  return {
    ...deviceOf(tf),
    weightBytes: loaded.weightBytes,
    run: (inputs) => run(tf, loaded, inputs),
    dispose: () => loaded.dispose(),
  };
}

function run(tf: Tfjs, slice: TfSlice, inputs: readonly Tensor[]): Tensor[] {
  let outputs: Tensor[] = [];
  try {
    // Nothing is returned through tidy: it would walk every element of the results in search of tensors.
    tf.tidy(() => {
      const made = slice.run(inputs.map((input) => lend(tf, input)));
      outputs = made.map((tensor) => readOut(tensor, inputs));
    });
  } catch (cause) {
    throw engineFailure('the slice', cause);
  }
  return outputs;
}
