/** Tensors over the border of tfjs: lent in without a copy where TensorFlow allows it, read out into private memory. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { TandemError } from '../../errors.js';
import type { DType, Tensor, TypedArray } from '../../tensor.js';
import { nativeBackend } from './binding.js';
import type { Tfjs } from './native.js';

/** What tfjs can compute with; `uint8` becomes int32 on its way in, as tfjs itself does with images. */
const LENT = new Map<DType, 'float32' | 'int32' | 'bool'>([
  ['float32', 'float32'],
  ['int32', 'int32'],
  ['bool', 'bool'],
  ['uint8', 'int32'],
]);

/**
 * `tensor` for tfjs. The values stay where they are (TensorFlow copies them only if they do not lie on 64 bytes), so the result must be
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

/** The values of `tensor` in memory of their own; `lent` are the tensors that it may still share memory with. */
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
    // A copy, even of what no op has touched.
    return { dtype, shape: tensor.shape, data: backend.binding.tensorDataSync(id!) };
  }
  // Not dataSync: WebGPU has no way to wait for the card.
  const data = (await tensor.data()) as TypedArray;
  // What no op has touched comes back as the very array that was lent.
  const isLent = lent.some((input) => input.data.buffer === data.buffer);
  return { dtype, shape: tensor.shape, data: isLent ? data.slice() : data };
}
