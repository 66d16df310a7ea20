/** The onnxruntime engine: slices of ONNX models on the CPU, or on a card through WebGPU, from the npm package alone. */
import { readOnnx } from '../../model/onnx.js';
import { describeByRunning } from '../describe.js';
import type { Engine } from '../engine.js';
import { openSlice } from './ort-slice.js';

export const onnxruntime: Engine = {
  name: 'onnxruntime',
  load: async (slice, options) => openSlice(readOnnx(slice.path), slice, options),
  describe: async (graph, options, feeds) => {
    const model = readOnnx(graph.path);
    return describeByRunning(graph, feeds, (chunk) => openSlice(model, chunk, options, { sketch: true }));
  },
};
