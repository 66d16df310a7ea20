/** A slice of an ONNX model in an ONNX Runtime session. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { TandemError } from '../../errors.js';
import { weightBytes } from '../../model/graph.js';
import { canCross } from '../../model/onnx/schema.js';
import { sliceProto } from '../../model/onnx/slice-proto.js';
import type { ValueType } from '../../model/onnx/value-type.js';
import type { OnnxModel } from '../../model/onnx.js';
import type { Slice } from '../../model/slice.js';
import { allocate, bytesOf, isDType, type Tensor, type TensorSpec, type TypedArray } from '../../tensor.js';
import type { EngineOptions, LoadedSlice } from '../engine.js';
import { blockedInputs } from './blocked-inputs.js';
import { onCard, onCpu, type Placement, record } from './placement.js';
import { type Ort, openOrt, openSession, ortError } from './session.js';
import { foreseenTypes, inferTypes } from './value-types.js';

/** Loads ops [from, to) of `model`. `sketch` loads faster and computes slower. Errors as of `Engine.load`. */
export async function openSlice(
  model: OnnxModel,
  slice: Slice,
  engine: EngineOptions,
  { sketch = false } = {},
): Promise<OrtSlice> {
  const ort = await openOrt();
  const types = await inferTypes(model, slice.from, slice.inputs);
  // On other processors ORT may have no order of its own, and then the pool is only one op more.
  const blocks = engine.provider === 'cpu' && process.arch === 'x64' && !sketch;
  const pooled = blocks ? blockedInputs(model, slice, types) : new Set<string>();
  const bytes = sliceProto(model, { ...slice, types, pooled });
  const request = { bytes, folder: model.graph.folder, engine, sketch };
  const weights = weightBytes(model.graph, slice.from, slice.to);
  if (engine.provider === 'cpu' || sketch) {
    return new OrtSlice({ ort, model, slice, session: await openSession(request), placement: onCpu(), weights });
  }
  using recording = record();
  const session = await openSession({ ...request, options: recording.options });
  const zeros = slice.inputs.map((name) => zerosOf(types.get(name)));
  const trial = new OrtSlice({ ort, model, slice, session, placement: onCpu(), weights });
  // A model may refuse zeros, or rows of one; it is then believed to be where it was put.
  const ran = zeros.every((tensor) => tensor !== null) && (await trial.run(zeros).then(Boolean, () => false));
  const counts = recording.read(session);
  return new OrtSlice({ ort, model, slice, session, placement: onCard(engine.provider, ran ? counts : null), weights });
}

/** Zeros of a type with every open dimension 1, or `null` where the type is not known. */
function zerosOf(type: ValueType | undefined): Tensor | null {
  if (!type?.shape || !canCross(type.element)) return null;
  const shape = type.shape.map((dim) => (typeof dim === 'number' ? dim : 1));
  return { dtype: type.element, shape, data: allocate(type.element, shape) };
}

interface Opened {
  readonly ort: Ort;
  readonly model: OnnxModel;
  readonly session: InferenceSession;
  readonly slice: Slice;
  readonly placement: Placement;
  readonly weights: number;
}

class OrtSlice implements LoadedSlice {
  readonly ranOn: string;
  readonly deviceName: string;
  readonly weightBytes: number;
  readonly #ort: Ort;
  readonly #model: OnnxModel;
  readonly #session: InferenceSession;
  readonly #slice: Slice;
  /** One private tensor per input, kept while the shape stays: ORT reads no SharedArrayBuffer. */
  readonly #staged = new Map<string, OrtTensor>();

  constructor({ ort, model, session, slice, placement, weights }: Opened) {
    this.#ort = ort;
    this.#model = model;
    this.#session = session;
    this.#slice = slice;
    this.weightBytes = weights;
    this.ranOn = placement.ranOn;
    this.deviceName = placement.deviceName;
  }

  async run(inputs: readonly Tensor[]): Promise<Tensor[]> {
    const { outputs } = this.#slice;
    // Ops that nothing reads make a slice without outputs, which ORT loads but does not run.
    if (outputs.length === 0) return [];
    try {
      // In the slice's order; one that is pooled first has another name there.
      const feeds = Object.fromEntries(this.#session.inputNames.map((name, n) => [name, this.#feed(name, inputs[n]!)]));
      const results = await this.#session.run(feeds, outputs);
      return outputs.map((name) => tensorFrom(name, results[name]!));
    } catch (cause) {
      throw ortError(cause, 'TANDEM_ENGINE_FAILED');
    }
  }

  async foresee(slice: Slice, inputs: readonly TensorSpec[]): Promise<TensorSpec[] | null> {
    // A card builds its kernels in the first run, which nobody should count as work.
    if (this.ranOn !== 'cpu') return null;
    return foreseenTypes(this.#model, slice, inputs).catch(() => null);
  }

  async dispose(): Promise<void> {
    this.#staged.clear();
    await this.#session.release();
  }

  /** What processes share, and private memory, is read where it lies. */
  #feed(name: string, tensor: Tensor): OrtTensor {
    return tensor.data.buffer instanceof SharedArrayBuffer ? this.#stage(name, tensor) : this.#over(tensor);
  }

  #stage(name: string, { dtype, shape, data }: Tensor): OrtTensor {
    let staged = this.#staged.get(name);
    if (!staged || staged.type !== dtype || !sameShape(staged.dims, shape)) {
      staged = this.#over({ dtype, shape, data: allocate(dtype, shape) });
      this.#staged.set(name, staged);
    }
    bytesOf(staged.data as TypedArray).set(bytesOf(data));
    return staged;
  }

  #over({ dtype, shape, data }: Tensor): OrtTensor {
    const tensor = new this.#ort.Tensor(dtype as 'float32', data as Float32Array, shape);
    // Where the platform has a Float16Array the tensor would show one, of which onnxruntime-node 1.30 sees no bytes.
    if (dtype === 'float16') Object.defineProperty(tensor, 'data', { value: data });
    return tensor;
  }
}

/** ORT's tensor as one of ours, over the same memory, which ORT hands over. Throws TANDEM_MODEL_UNSUPPORTED for text. */
export function tensorFrom(name: string, { type, dims, data }: OrtTensor): Tensor {
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
