/** The native part of tfjs-node that is used to record and replay runs. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import type { TypedArray } from '../../tensor.js';
import type { Tfjs } from './native.js';

/** The result of an op. */
export interface Made {
  readonly id: number;
  readonly shape: readonly number[];
  /** Its number in TensorFlow. */
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

/** The backend object of tfjs-node 4.22 above its binding (dist/nodejs_kernel_backend.js). */
export interface NativeBackend {
  binding: Binding;
  readonly isUsingGpuDevice: boolean;
  /** It passes values that are still in JavaScript to TensorFlow. */
  getInputTensorIds(tensors: readonly TfTensor[]): number[];
  createOutputTensor(made: Made): TfTensor;
}

/** TensorFlow's backend; `null` with other backends of tfjs. */
export function nativeBackend(tf: Tfjs): NativeBackend | null {
  return tf.getBackend() === 'tensorflow' ? (tf.backend() as unknown as NativeBackend) : null;
}
