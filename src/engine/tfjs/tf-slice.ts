/** A slice that is loaded, on tfjs's own tensors: what LayersModels and GraphModels have in common. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';

export interface TfSlice {
  /** Bytes that the weights take in use, dequantised. */
  readonly weightBytes: number;
  /** Inputs in the order of `slice.inputs`, results in that of `slice.outputs`. The caller disposes both. */
  run(inputs: readonly TfTensor[]): TfTensor[] | Promise<TfTensor[]>;
  dispose(): void;
}
