/** Reads the weights of a small safetensors file as 32-bit floats. */
import { TandemError } from '../../errors.js';
import { miniFloatOf } from '../../rows/finite.js';
import { fromWord } from '../../rows/half-float.js';
import { headerLength, PREFIX_BYTES, parseHeader, type StoredTensor } from '../../rows/safetensors/header.js';

export interface Weight {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Those of the tensors that are there, by name. Throws TANDEM_MODEL_INVALID for a damaged file, TANDEM_MODEL_UNSUPPORTED for other types than F32, F16 and BF16. */
export function readSafetensors(bytes: Buffer, file: string, names: Iterable<string>): Map<string, Weight> {
  const wanted = new Set(names);
  let found: Map<string, StoredTensor>;
  let data: Buffer;
  try {
    data = bytes.subarray(PREFIX_BYTES + headerLength(bytes.subarray(0, PREFIX_BYTES), bytes.length));
    found = parseHeader(bytes.subarray(PREFIX_BYTES, bytes.length - data.length), data.length);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new TandemError('TANDEM_MODEL_INVALID', `${file} is no safetensors file, or is damaged: ${why}`, {
      remedy: 'copy the model again, whole',
      cause,
    });
  }
  const tensors = new Map<string, Weight>();
  for (const [name, tensor] of found) {
    if (!wanted.has(name)) continue;
    tensors.set(name, { shape: tensor.shape, values: floats(data, tensor, `${file}: ${name}`) });
  }
  return tensors;
}

function floats(data: Buffer, { code, dtype, from, to }: StoredTensor, where: string): Float32Array {
  const bytes = data.subarray(from, to);
  const half = dtype === null ? null : miniFloatOf(dtype);
  if (half) {
    return Float32Array.from({ length: bytes.length / 2 }, (_, n) => fromWord(bytes.readUInt16LE(n * 2), half));
  }
  if (dtype === 'float32') return Float32Array.from({ length: bytes.length / 4 }, (_, n) => bytes.readFloatLE(n * 4));
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `${where} has the type ${code}`, {
    remedy: 'save the weights as 32-bit or 16-bit floats',
  });
}
