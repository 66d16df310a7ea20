/** A recording: the native calls of tfjs during a run of a slice, and whether they are the same for all rows of these shapes. */
import { isDeepStrictEqual } from 'node:util';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import type { TypedArray } from '../../tensor.js';
import type { Attribute, Binding, Made, NativeBackend } from './binding.js';

/** One op. Tensors are numbered within the recording, not by TensorFlow's numbers. */
export interface Step {
  readonly name: string;
  readonly attrs: readonly Attribute[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** A value that JavaScript makes in each run: the shape for a Reshape, an axis. */
export interface Constant {
  readonly shape: readonly number[];
  readonly dtype: number;
  readonly values: TypedArray;
}

export interface Recording {
  /** Numbers below `feeds` are the inputs. */
  readonly feeds: number;
  /** TensorFlow's numbers of the weights. */
  readonly weights: ReadonlyMap<number, number>;
  readonly constants: ReadonlyMap<number, Constant>;
  readonly steps: readonly Step[];
  readonly outputs: readonly number[];
  /** Of all tensors except weights. */
  readonly shapes: ReadonlyMap<number, readonly number[]>;
}

/** A slice with larger constants is not recorded. */
const CONSTANT_BYTES = 2 ** 20;

/**
 * Records the calls from its construction to `stop`. A slice that reads values during the run, so that other rows may lead to
 * other ops, has no recording.
 */
export class Recorder {
  readonly #backend: NativeBackend;
  readonly #binding: Binding;
  readonly #feeds: number;
  readonly #places = new Map<number, number>();
  readonly #weights = new Map<number, number>();
  readonly #constants = new Map<number, Constant>();
  readonly #shapes = new Map<number, readonly number[]>();
  readonly #steps: Step[] = [];
  /** Tensors whose values depend on the rows. */
  readonly #ofRows = new Set<number>();
  #constantBytes = 0;
  /** A tensor that was read, perhaps only to check its values as indices. */
  #lookedAt: number | null = null;
  #isFixed = true;

  /** The recording is valid for rows with these values of `known` inputs. */
  constructor(backend: NativeBackend, feeds: readonly TfTensor[], known: (feed: TfTensor) => boolean) {
    this.#backend = backend;
    this.#binding = backend.binding;
    this.#feeds = feeds.length;
    for (const [place, id] of backend.getInputTensorIds(feeds).entries()) {
      this.#places.set(id, place);
      this.#shapes.set(place, feeds[place]!.shape);
      if (!known(feeds[place]!)) this.#ofRows.add(place);
    }
    backend.binding = this.#tapped();
  }

  stop(): void {
    this.#backend.binding = this.#binding;
  }

  /** `null` if other rows may need other calls, or an output is neither an op's nor an input. */
  recordingOf(outputs: readonly number[]): Recording | null {
    const places = outputs.map((id) => this.#places.get(id));
    if (!this.#isFixed || this.#lookedAt !== null) return null;
    if (places.some((place) => place === undefined || this.#weights.has(place) || this.#constants.has(place)))
      return null;
    return {
      feeds: this.#feeds,
      weights: this.#weights,
      constants: this.#constants,
      steps: this.#steps,
      outputs: places as number[],
      shapes: this.#shapes,
    };
  }

  #tapped(): Binding {
    const taps: Binding = {
      createTensor: (shape, dtype, values) => this.#create(shape, dtype, values),
      deleteTensor: (id) => this.#delete(id),
      tensorDataSync: (id) => this.#read(id),
      executeOp: (name, attrs, inputs, outputs) => this.#execute(name, attrs, inputs, outputs),
    };
    return new Proxy(taps, { get: (own, key) => Reflect.get(own, key) ?? this.#passed(key) });
  }

  /** Calls that read numbers of types and the like; any other call cannot be recorded. */
  #passed(key: string | symbol): unknown {
    const value = Reflect.get(this.#binding, key);
    if (typeof value === 'function') this.#isFixed = false;
    return value;
  }

  #place(id: number): number {
    const place = this.#places.get(id) ?? this.#places.size;
    this.#places.set(id, place);
    return place;
  }

  #create(shape: readonly number[], dtype: number, values: TypedArray): number {
    const id = this.#binding.createTensor(shape, dtype, values);
    this.#constantBytes += values.byteLength;
    // Text is passed as a list.
    if (!ArrayBuffer.isView(values) || this.#constantBytes > CONSTANT_BYTES) this.#isFixed = false;
    else {
      this.#constants.set(this.#place(id), { shape, dtype, values: values.slice() });
      this.#shapes.set(this.#place(id), shape);
    }
    return id;
  }

  #delete(id: number): void {
    const place = this.#places.get(id);
    if (place === undefined || this.#weights.has(place)) this.#isFixed = false;
    this.#binding.deleteTensor(id);
  }

  #read(id: number): TypedArray {
    const place = this.#places.get(id);
    if (place !== undefined && this.#ofRows.has(place)) {
      if (this.#lookedAt !== null) this.#isFixed = false;
      this.#lookedAt = place;
    }
    return this.#binding.tensorDataSync(id);
  }

  #execute(name: string, attrs: readonly Attribute[], ids: readonly number[], count: number): Made[] {
    for (const id of ids) if (!this.#places.has(id)) this.#weights.set(this.#place(id), id);
    const inputs = ids.map((id) => this.#place(id));
    this.#checkLook(name, inputs);
    const made = this.#binding.executeOp(name, attrs, ids, count);
    const outputs = made.map(({ id }) => this.#place(id));
    for (const [n, place] of outputs.entries()) this.#shapes.set(place, made[n]!.shape);
    if (inputs.some((place) => this.#ofRows.has(place))) for (const place of outputs) this.#ofRows.add(place);
    this.#steps.push({ name, attrs, inputs, outputs });
    return made;
  }

  /** tfjs reads the indices of a GatherV2 to refuse bad ones. On the CPU TensorFlow checks them itself; a card would return zeros. */
  #checkLook(name: string, inputs: readonly number[]): void {
    if (this.#lookedAt === null) return;
    if (name !== 'GatherV2' || inputs[1] !== this.#lookedAt || this.#backend.isUsingGpuDevice) this.#isFixed = false;
    this.#lookedAt = null;
  }
}

/** Whether two runs made the same calls. A slice with random numbers or with state between runs does not. */
export function sameCalls(a: Recording, b: Recording): boolean {
  return isDeepStrictEqual(a, b);
}
