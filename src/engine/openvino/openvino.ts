/** The openvino engine: slices of ONNX models on CPUs and on Intel's graphics. */
import { readAhead, takeModel } from '../../model/onnx/read-ahead.js';
import type { Engine } from '../engine.js';
import { openLibrary } from './library.js';
import { openSlice } from './ov-slice.js';

export const openvino: Engine = {
  name: 'openvino',
  async prepare(model) {
    openLibrary();
    readAhead(model);
  },
  load: async (slice, options) => openSlice(takeModel(slice), slice, options),
  // Types and shapes are facts of the model, which ONNX Runtime finds op by op without compiling anything.
  describe: async (graph, options, feeds) =>
    (await import('../onnxruntime/onnxruntime.js')).onnxruntime.describe(
      graph,
      { provider: 'cpu', threads: options.threads },
      feeds,
    ),
};
