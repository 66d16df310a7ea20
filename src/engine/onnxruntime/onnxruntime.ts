/** The onnxruntime engine: slices of ONNX models on the CPU, or on a card through WebGPU, from the npm package alone. */
import { type OnnxModel, readOnnx } from '../../model/onnx.js';
import { describeByRunning } from '../describe.js';
import type { Engine } from '../engine.js';
import { openSlice } from './ort-slice.js';
import { openOrt } from './session.js';

/** Read ahead of the first slice, for that one only: the file may be another by the next. */
let ahead: OnnxModel | null = null;

function takeModel(path: string): OnnxModel {
  const model = ahead?.graph.path === path ? ahead : readOnnx(path);
  ahead = null;
  return model;
}

export const onnxruntime: Engine = {
  name: 'onnxruntime',
  async prepare(model) {
    await openOrt();
    ahead = readOnnx(model);
  },
  load: async (slice, options) => openSlice(takeModel(slice.path), slice, options),
  describe: async (graph, options, feeds) => {
    const model = readOnnx(graph.path);
    return describeByRunning(graph, feeds, (chunk) => openSlice(model, chunk, options, { sketch: true }));
  },
};
