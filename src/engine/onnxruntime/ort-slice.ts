/** A slice of an ONNX model in an ONNX Runtime session. */
import { cpus } from 'node:os';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { TandemError } from '../../errors.js';
import { weightBytes } from '../../model/graph.js';
import { sliceProto } from '../../model/onnx/slice-proto.js';
import type { OnnxModel } from '../../model/onnx.js';
import type { Slice } from '../../model/slice.js';
import { allocate, bytesOf, isDType, type Tensor, type TypedArray } from '../../tensor.js';
import type { EngineOptions, LoadedSlice } from '../engine.js';
import { type Ort, openOrt, openSession, ortError } from './session.js';
import { inferTypes } from './value-types.js';

/** Loads ops [from, to) of `model`. `sketch` loads faster and computes slower. Errors as of `Engine.load`. */
export async function openSlice(
  model: OnnxModel,
  slice: Slice,
  engine: EngineOptions,
  { sketch = false } = {},
): Promise<OrtSlice> {
  const ort = await openOrt();
  const types = await inferTypes(model, slice.from, slice.inputs);
  const bytes = sliceProto(model, { ...slice, types });
  const session = await openSession({ bytes, folder: model.graph.folder, engine, sketch });
  return new OrtSlice(ort, session, slice, engine, weightBytes(model.graph, slice.from, slice.to));
}

export class OrtSlice implements LoadedSlice {
  readonly ranOn: string;
  readonly deviceName: string;
  readonly weightBytes: number;
  readonly #ort: Ort;
  readonly #session: InferenceSession;
  readonly #slice: Slice;
  /** One private tensor per input, kept while the shape stays: ORT reads no shared memory. */
  readonly #staged = new Map<string, OrtTensor>();

  constructor(ort: Ort, session: InferenceSession, slice: Slice, { provider }: EngineOptions, bytes: number) {
    this.#ort = ort;
    this.#session = session;
    this.#slice = slice;
    this.weightBytes = bytes;
    this.ranOn = provider === 'cpu' ? 'cpu' : 'gpu';
    this.deviceName = provider === 'cpu' ? cpus()[0]?.model.trim() || process.arch : `a card behind ${provider}`;
  }

  async run(inputs: readonly Tensor[]): Promise<Tensor[]> {
    const { inputs: names, outputs } = this.#slice;
    // Ops that nothing reads make a slice without outputs, which ORT loads but does not run.
    if (outputs.length === 0) return [];
    const feeds = Object.fromEntries(names.map((name, n) => [name, this.#stage(name, inputs[n]!)]));
    let results: InferenceSession.ReturnType;
    try {
      results = await this.#session.run(feeds, outputs);
    } catch (cause) {
      throw ortError(cause, 'TANDEM_ENGINE_FAILED');
    }
    return outputs.map((name) => taken(name, results[name]!));
  }

  async dispose(): Promise<void> {
    this.#staged.clear();
    await this.#session.release();
  }

  #stage(name: string, { dtype, shape, data }: Tensor): OrtTensor {
    let staged = this.#staged.get(name);
    if (!staged || staged.type !== dtype || !sameShape(staged.dims, shape)) {
      staged = new this.#ort.Tensor(dtype as 'float32', allocate(dtype, shape) as Float32Array, shape);
      this.#staged.set(name, staged);
    }
    bytesOf(staged.data as TypedArray).set(bytesOf(data));
    return staged;
  }
}

/** An output as it is; ORT hands its memory over. */
function taken(name: string, { type, dims, data }: OrtTensor): Tensor {
  if (!isDType(type)) {
    throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `"${name}" holds ${type}; only numbers can be pipelined`);
  }
  const words = data as TypedArray;
  // Where the platform has a Float16Array, ORT gives one.
  const plain = type === 'float16' ? new Uint16Array(words.buffer, words.byteOffset, words.length) : words;
  return { dtype: type, shape: dims, data: plain };
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, n) => dim === b[n]);
}
