/** Finds out what every tensor of an ONNX graph is. */
import type { ModelGraph, TensorFacts } from '../../model/graph.js';
import type { Tensor } from '../../tensor.js';
import type { EngineOptions } from '../engine.js';

export async function describe(
  _graph: ModelGraph,
  _options: EngineOptions,
  _feeds: readonly Tensor[],
): Promise<TensorFacts> {
  return new Map();
}
