/** tfjs-node's native half, as far as runs are recorded and played through it. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import type { TypedArray } from '../../tensor.js';
import type { Tfjs } from './native.js';

/** A tensor that an op has made. */
export interface Made {
  readonly id: number;
  readonly shape: readonly number[];
  /** TensorFlow's number of it. */
  readonly dtype: number;
}

/** One call is one eager op of TensorFlow; tensors are known by number until they are deleted. */
export interface Binding {
  createTensor(shape: readonly number[], dtype: number, values: TypedArray): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): TypedArray;
  executeOp(name: string, attrs: readonly Attribute[], inputs: readonly number[], outputs: number): Made[];
}

export interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** What tfjs-node 4.22 keeps above its binding (dist/nodejs_kernel_backend.js). */
export interface NativeBackend {
  binding: Binding;
  readonly isUsingGpuDevice: boolean;
  /** Values that lie in JavaScript still are handed over by it. */
  getInputTensorIds(tensors: readonly TfTensor[]): number[];
  createOutputTensor(made: Made): TfTensor;
}

/** TensorFlow's backend; other backends of tfjs have none of this. */
export function nativeBackend(tf: Tfjs): NativeBackend | null {
  return tf.getBackend() === 'tensorflow' ? (tf.backend() as unknown as NativeBackend) : null;
}
