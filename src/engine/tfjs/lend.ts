/** Tensors into tfjs, without a copy if TensorFlow allows it, and out of it into private memory. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { TandemError } from '../../errors.js';
import type { DType, Tensor, TypedArray } from '../../tensor.js';
import { nativeBackend } from './binding.js';
import type { Tfjs } from './native.js';

/** The dtypes that tfjs can compute with; `uint8` becomes int32, as tfjs itself does with images. */
const LENT = new Map<DType, 'float32' | 'int32' | 'bool'>([
  ['float32', 'float32'],
  ['int32', 'int32'],
  ['bool', 'bool'],
  ['uint8', 'int32'],
]);

/**
 * `tensor` for tfjs. The values are not copied (unless they are not aligned to 64 bytes), so the result must be
 * disposed before the memory is used again. Throws TANDEM_MODEL_UNSUPPORTED for other dtypes.
 */
export function lend(tf: Tfjs, { dtype, shape, data }: Tensor): TfTensor {
  const lent = LENT.get(dtype);
  if (!lent) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `tfjs cannot take a ${dtype} tensor`, {
      remedy: `it computes with ${[...LENT.keys()].join(', ')}`,
    });
  }
  const values = dtype === 'uint8' ? Int32Array.from(data as Uint8Array) : data;
  return tf.tensor(values as Float32Array, [...shape], lent);
}

/** The values of `tensor` in private memory; `lent`: tensors with which it may share memory. */
export async function readOut(tf: Tfjs, tensor: TfTensor, lent: readonly Tensor[]): Promise<Tensor> {
  const dtype = tensor.dtype;
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `a ${dtype} tensor cannot leave a slice`, {
      remedy: 'cut elsewhere: tandem inspect MODEL lists the legal cuts',
    });
  }
  const backend = nativeBackend(tf);
  if (backend) {
    const [id] = backend.getInputTensorIds([tensor]);
    // A copy, even if no op has changed it.
    return { dtype, shape: tensor.shape, data: backend.binding.tensorDataSync(id!) };
  }
  // Not dataSync: WebGPU cannot wait for the card synchronously.
  const data = (await tensor.data()) as TypedArray;
  // A tensor that no op has changed is returned as the lent array itself.
  const isLent = lent.some((input) => input.data.buffer === data.buffer);
  return { dtype, shape: tensor.shape, data: isLent ? data.slice() : data };
}
