/** The interface of a loaded slice on tfjs's tensors, for LayersModels and GraphModels. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';

export interface TfSlice {
  /** Bytes of the dequantised weights. */
  readonly weightBytes: number;
  /** Inputs in the order of `slice.inputs`, results in that of `slice.outputs`. The caller disposes both. */
  run(inputs: readonly TfTensor[]): TfTensor[] | Promise<TfTensor[]>;
  dispose(): void;
}
