/** A slice of an ONNX model in an ONNX Runtime session. */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { asTandemError, type TandemError } from '../../errors.js';
import { weightBytes } from '../../model/graph.js';
import type { ValueType } from '../../model/onnx/value-type.js';
import type { OnnxModel } from '../../model/onnx.js';
import type { Slice } from '../../model/slice.js';
import { allocate, bytesOf, type Tensor, type TensorSpec, type TypedArray } from '../../tensor.js';
import type { EngineOptions, LoadedSlice } from '../engine.js';
import { blockedInputs } from './blocked-inputs.js';
import { isHandedOut } from './forbidden-cuts.js';
import { tensorFrom, toOrt } from './ort-tensor.js';
import { notKnown, onCard, onCpu, type Placement, record } from './placement.js';
import { type Ort, openOrt, openSession, ortError } from './session.js';
import { sliceModel } from './slice-model.js';
import { inferredTypes, inferTypes } from './value-types.js';

/** Loads ops [from, to) of `model`. `sketch` loads faster and computes slower. Errors as of `Engine.load`. */
export async function openSlice(
  model: OnnxModel,
  slice: Slice,
  engine: EngineOptions,
  { sketch = false } = {},
): Promise<OrtSlice> {
  const ort = await openOrt();
  const types = await inferTypes(model, slice.from, slice.inputs);
  // On other processors ORT may have no blocked layout, and then the pool is only one op more.
  const blocks = engine.provider === 'cpu' && process.arch === 'x64' && !sketch;
  const pooled = blocks ? blockedInputs(model, slice, types) : new Set<string>();
  const bytes = sliceModel(model, { ...slice, types, pooled });
  const request = { bytes, folder: model.graph.folder, engine, sketch };
  const weights = weightBytes(model.graph, slice.from, slice.to);
  if (engine.provider === 'cpu' || sketch) {
    const opened = { ort, model, slice, placement: onCpu(), weights, provider: 'cpu' };
    const again = async (): Promise<OrtSlice> =>
      new OrtSlice({ ...opened, session: await openSession(request), again });
    return again();
  }
  using recording = record();
  const session = await openSession({ ...request, options: recording.options });
  const typesOfInputs = slice.inputs.map((name) => types.get(name));
  const opened = { ort, model, slice, session, weights, provider: engine.provider };
  const tried = await tryOn(new OrtSlice({ ...opened, placement: onCpu() }), typesOfInputs).catch(async (error) => {
    await session.release();
    throw error;
  });
  const work = recording.read(session);
  const placement =
    tried === 'ran' || tried === null ? onCard(engine.provider, tried && work, engine) : notKnown(tried);
  return new OrtSlice({ ...opened, placement });
}

/** Sizes of open dimensions to try: a model may refuse rows of one, or lengths that something else must divide. */
const TRIED_SIZES = [1, 2, 8, 64];

/**
 * Runs the slice on zeros: 'ran', or why it refused zeros of all sizes; `null` if nothing can be tried because the types of its inputs are
 * not known. Throws what is no refusal of a model: a missing library, a fault of the driver or the card, memory.
 */
async function tryOn(trial: OrtSlice, types: readonly (ValueType | undefined)[]): Promise<'ran' | TandemError | null> {
  let refusal: TandemError | null = null;
  for (const size of TRIED_SIZES) {
    const zeros = types.map((type) => zerosOf(type, size));
    if (!zeros.every((tensor) => tensor !== null)) return null;
    try {
      await trial.run(zeros);
      return 'ran';
    } catch (error) {
      refusal = asTandemError(error);
      if (refusal.code !== 'TANDEM_ENGINE_FAILED') throw refusal;
    }
  }
  return refusal;
}

/** Zeros of a type with every open dimension `size`, or `null` where the type is not known. */
function zerosOf(type: ValueType | undefined, size: number): Tensor | null {
  if (!type?.shape || !isHandedOut(type.element)) return null;
  const shape = type.shape.map((dim) => (typeof dim === 'number' ? dim : size));
  return { dtype: type.element, shape, data: allocate(type.element, shape) };
}

interface Opened {
  readonly ort: Ort;
  readonly model: OnnxModel;
  readonly session: InferenceSession;
  readonly slice: Slice;
  readonly placement: Placement;
  readonly weights: number;
  readonly provider: string;
  readonly again?: LoadedSlice['again'];
}

class OrtSlice implements LoadedSlice {
  readonly ranOn: string;
  readonly deviceName: string;
  readonly weightBytes: number;
  readonly again: LoadedSlice['again'];
  readonly #ort: Ort;
  readonly #model: OnnxModel;
  readonly #session: InferenceSession;
  readonly #slice: Slice;
  readonly #provider: string;
  /** One private tensor per input, kept while the shape stays: ORT reads no SharedArrayBuffer. */
  readonly #staged = new Map<string, OrtTensor>();

  constructor({ ort, model, session, slice, placement, weights, provider, again }: Opened) {
    this.again = again;
    this.#provider = provider;
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
      // In the slice's order; an input with a pool before it has another name.
      const feeds = Object.fromEntries(this.#session.inputNames.map((name, n) => [name, this.#feed(name, inputs[n]!)]));
      const results = await this.#session.run(feeds, outputs);
      return outputs.map((name) => tensorFrom(name, results[name]!));
    } catch (cause) {
      throw ortError(cause, 'TANDEM_ENGINE_FAILED', this.#provider);
    }
  }

  async infer(slice: Slice, inputs: readonly TensorSpec[]): Promise<TensorSpec[] | null> {
    // A card builds its kernels in the first run, which is not counted as work.
    if (this.ranOn !== 'cpu') return null;
    return inferredTypes(this.#model, slice, inputs).catch(() => null);
  }

  async dispose(): Promise<void> {
    this.#staged.clear();
    await this.#session.release();
  }

  /** Memory shared by processes, and private memory, is read in place. */
  #feed(name: string, tensor: Tensor): OrtTensor {
    return tensor.data.buffer instanceof SharedArrayBuffer ? this.#stage(name, tensor) : toOrt(this.#ort, tensor);
  }

  #stage(name: string, { dtype, shape, data }: Tensor): OrtTensor {
    let staged = this.#staged.get(name);
    if (!staged || staged.type !== dtype || !sameShape(staged.dims, shape)) {
      staged = toOrt(this.#ort, { dtype, shape, data: allocate(dtype, shape) });
      this.#staged.set(name, staged);
    }
    bytesOf(staged.data as TypedArray).set(bytesOf(data));
    return staged;
  }
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, n) => dim === b[n]);
}
