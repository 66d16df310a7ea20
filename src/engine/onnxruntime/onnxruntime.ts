/** The onnxruntime engine: slices of ONNX models on the CPU, or on a card through WebGPU, from the npm package alone. */
import { readAhead, takeModel } from '../../model/onnx/read-ahead.js';
import { readOnnx } from '../../model/onnx.js';
import { describeByRunning } from '../describe.js';
import type { Engine } from '../engine.js';
import { openDecoderSlice } from './decoder-slice.js';
import { forbiddenCuts } from './forbidden-cuts.js';
import { openSlice } from './ort-slice.js';
import { openOrt } from './session.js';

export const onnxruntime: Engine = {
  name: 'onnxruntime',
  async prepare(model) {
    await openOrt();
    readAhead(model);
  },
  load: async (slice, options) => openSlice(takeModel(slice), slice, options),
  loadDecoder: async (hold, options) => openDecoderSlice(takeModel(hold.slice), hold, options),
  describe: async (graph, options, feeds) => {
    const model = readOnnx(graph.path, graph.fed);
    const whole = { ...graph, forbiddenCuts: new Set([...graph.forbiddenCuts, ...forbiddenCuts(graph, model)]) };
    return describeByRunning(whole, feeds, (chunk) => openSlice(model, chunk, options, { sketch: true }));
  },
};
