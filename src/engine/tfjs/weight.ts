/** One weight from its byte range into TensorFlow, so that no more than one is ever held twice. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { readWeightBytes, type StoredWeight } from '../../model/weights-manifest.js';
import { engineFailure } from './failure.js';
import type { Tfjs } from './native.js';

/** The weight, dequantised. Throws TANDEM_WEIGHTS_SHORT, TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY. */
export async function loadWeight(tf: Tfjs, weight: StoredWeight): Promise<TfTensor> {
  const { shape, dtype, quantization } = weight;
  const bytes = await readWeightBytes(weight);
  // tfjs returns an object by name: the weight's own could be any word, `__proto__` too.
  const spec = { name: 'weight', shape: [...shape], dtype, ...(quantization && { quantization }) };
  try {
    return tf.io.decodeWeights(bytes.buffer, [spec as never]).weight!;
  } catch (cause) {
    throw engineFailure(`loading the weight ${weight.name}`, cause);
  }
}

/** Bytes that the tensor holds in use. */
export function heldBytes(tf: Tfjs, { dtype, size }: TfTensor, stored: number): number {
  return dtype === 'string' ? stored : size * tf.util.bytesPerElement(dtype);
}
