/** Tensors in and out of onnxruntime-node: over the same memory, with float16 as 16-bit integers on every Node. */
import type { Tensor as OrtTensor } from 'onnxruntime-node';
import { TandemError } from '../../errors.js';
import { isDType, type Tensor, type TypedArray } from '../../tensor.js';
import type { Ort } from './session.js';

/** Ours as one of ORT's. */
export function toOrt(ort: Pick<Ort, 'Tensor'>, { dtype, shape, data }: Tensor): OrtTensor {
  const tensor = new ort.Tensor(dtype as 'float32', data as Float32Array, shape);
  // On a platform with Float16Array the tensor would use one, whose bytes onnxruntime-node 1.30 does not read.
  if (dtype === 'float16') Object.defineProperty(tensor, 'data', { value: data });
  return tensor;
}

/** ORT's as one of ours, over the same memory. Throws TANDEM_MODEL_UNSUPPORTED for text. */
export function tensorFrom(name: string, { type, dims, data }: OrtTensor): Tensor {
  if (!isDType(type)) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `"${name}" holds ${type}; only numbers can be pipelined`);
  }
  const words = data as TypedArray;
  // On a platform with Float16Array, ORT returns one.
  const plain = type === 'float16' ? new Uint16Array(words.buffer, words.byteOffset, words.length) : words;
  return { dtype: type, shape: dims, data: plain };
}
