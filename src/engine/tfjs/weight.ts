/** Loads weights from their byte ranges into TensorFlow; only the weight being loaded is in memory twice. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { readWeight, type StoredWeight } from '../../model/weights-manifest.js';
import { allocate, elementCount, viewOf } from '../../tensor.js';
import { engineFailure } from './failure.js';
import type { Tfjs } from './native.js';

/**
 * TensorFlow shares memory that is aligned to 64 bytes and copies all other. The staging buffer begins on a page and the values 4 bytes later, so they are copied and the buffer can be
 * used again. (tfjs itself leaves each weight's first copy to the garbage collector.)
 */
const STAGED_AT = 4;

/** Memory that can be freed at once; ES2024, available in Node 20. */
type Resizable = ArrayBuffer & { resize(bytes: number): void };
const ResizableBuffer = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => Resizable;

/** The usual types of weights, of which a view can be made. */
const STAGED = new Set(['float32', 'int32', 'bool']);

/** All of `weights`, dequantised, by name. Throws TANDEM_WEIGHTS_SHORT, TANDEM_ENGINE_FAILED, TANDEM_OUT_OF_MEMORY. */
export async function loadWeights(tf: Tfjs, weights: readonly StoredWeight[]): Promise<Map<string, TfTensor>> {
  const loaded = new Map<string, TfTensor>();
  const largest = Math.max(0, ...weights.filter(isStaged).map(stagedBytes));
  const staging = new ResizableBuffer(largest, { maxByteLength: largest });
  try {
    for (const weight of weights) {
      const value = await (isStaged(weight) ? loadStaged(tf, weight, staging) : loadDecoded(tf, weight)).catch(
        (cause) => {
          throw engineFailure(`loading the weight ${weight.name}`, cause);
        },
      );
      loaded.set(weight.name, value);
    }
    return loaded;
  } catch (cause) {
    tf.dispose([...loaded.values()]);
    throw cause;
  } finally {
    staging.resize(0);
  }
}

/** The staging buffer has the values and, behind them, the stored values from which they are dequantised. */
async function loadStaged(tf: Tfjs, weight: StoredWeight, staging: ArrayBuffer): Promise<TfTensor> {
  const dtype = weight.dtype as 'float32' | 'int32' | 'bool';
  const shape = [...weight.shape];
  if (elementCount(shape) === 0) return tf.tensor(allocate(dtype, shape) as Float32Array, shape, dtype);
  const data = viewOf(dtype, shape, staging, STAGED_AT).data as Float32Array;
  if (weight.quantization) {
    const stored = new Uint8Array(staging, STAGED_AT + data.byteLength, weight.bytes);
    await readWeight(weight, stored);
    dequantize(weight, stored, data);
  } else {
    await readWeight(weight, new Uint8Array(staging, STAGED_AT, data.byteLength));
  }
  // The WebGPU backend reads the values only when an op first needs them on the card.
  const tensor = tf.tensor(tf.getBackend() === 'webgpu' ? data.slice() : data, shape, dtype);
  // tfjs passes values to TensorFlow when an op first reads them. This op makes it do so now, and computes nothing.
  tf.tidy(() => {
    tensor.reshape([tensor.size]);
  });
  return tensor;
}

/** As tfjs itself reads a weight: strings and complex numbers. */
async function loadDecoded(tf: Tfjs, weight: StoredWeight): Promise<TfTensor> {
  const bytes = new Uint8Array(weight.bytes);
  await readWeight(weight, bytes);
  // tfjs returns an object by name; the weight's name could be any word, also `__proto__`.
  const spec = { name: 'weight', shape: [...weight.shape], dtype: weight.dtype as 'string' };
  return tf.io.decodeWeights(bytes.buffer, [spec]).weight!;
}

function isStaged({ dtype, quantization }: StoredWeight): boolean {
  return STAGED.has(dtype) && (quantization === undefined || dtype !== 'bool');
}

function stagedBytes({ dtype, shape, bytes, quantization }: StoredWeight): number {
  return STAGED_AT + elementCount(shape) * (dtype === 'bool' ? 1 : 4) + (quantization ? bytes : 0);
}

/** To the bit as tfjs does it (io_utils.decodeWeight); `stored` may lie at any offset. */
function dequantize({ dtype, quantization }: StoredWeight, stored: Uint8Array, into: Float32Array | Int32Array): void {
  const { dtype: kind, min = 0, scale = 1 } = quantization!;
  const bytes = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  const read = kind === 'uint8' ? (n: number) => stored[n]! : (n: number) => bytes.getUint16(2 * n, true);
  for (let n = 0; n < into.length; n++) {
    const value = kind === 'float16' ? fromHalf(read(n)) : read(n) * scale + min;
    into[n] = dtype === 'int32' ? Math.round(value) : value;
  }
}

/** The number of 16 bits of half precision. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Bytes of the tensor. */
export function heldBytes(tf: Tfjs, { dtype, size }: TfTensor, stored: number): number {
  return dtype === 'string' ? stored : size * tf.util.bytesPerElement(dtype);
}
