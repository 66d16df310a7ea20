/** A slice that is loaded, on tfjs's own tensors: what LayersModels and GraphModels have in common. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';

export interface TfSlice {
  readonly weightBytes: number;
  /** Inputs in the order of `slice.inputs`, results in that of `slice.outputs`; called inside a tidy, which takes what is left over. */
  run(inputs: readonly TfTensor[]): TfTensor[];
  dispose(): void;
}
