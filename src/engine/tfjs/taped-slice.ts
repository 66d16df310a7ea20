/** A slice that runs in tfjs until its native calls are known, and from then on by a tape of them. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { type NativeBackend, nativeBackend } from './binding.js';
import type { Tfjs } from './native.js';
import { Recorder, type Recording, sameCalls } from './recording.js';
import { Tape } from './tape.js';
import type { TfSlice } from './tf-slice.js';

/** The state of a slice for inputs of one kind: run once, so that all weights are loaded; recorded; taped; or its calls vary. */
type Phase = 'new' | 'run once' | Recording | Tape | 'not fixed';

/** Tapes at most: rows of ever new lengths would fill the memory. */
const MOST_TAPES = 8;

/**
 * tfjs spends 8 % (ResNet-50) to 19 % (MobileNetV2, 16 rows of 96 x 96 on one thread) of a run in JavaScript around TensorFlow's ops. Two runs
 * of the same kind are recorded; if they made the same calls, every run does. On other backends `slice` stays as it is.
 */
export function taped(tf: Tfjs, slice: TfSlice): TfSlice {
  const backend = nativeBackend(tf);
  return backend ? new TapedSlice(slice, backend) : slice;
}

class TapedSlice implements TfSlice {
  readonly weightBytes: number;
  readonly #slice: TfSlice;
  readonly #backend: NativeBackend;
  readonly #phases = new Map<string, Phase>();

  constructor(slice: TfSlice, backend: NativeBackend) {
    this.weightBytes = slice.weightBytes;
    this.#slice = slice;
    this.#backend = backend;
  }

  async run(inputs: readonly TfTensor[]): Promise<TfTensor[]> {
    const kind = JSON.stringify(inputs.map(kindOf));
    const phase = this.#phases.get(kind) ?? (this.#phases.size < MOST_TAPES ? 'new' : 'not fixed');
    if (phase instanceof Tape) return this.#play(phase, kind, inputs);
    if (phase === 'not fixed') return this.#slice.run(inputs);
    if (phase === 'new') {
      const made = await this.#slice.run(inputs);
      this.#phases.set(kind, 'run once');
      return made;
    }
    const { made, recording } = await this.#record(inputs);
    // Another run may have reached the same state.
    if (this.#phases.get(kind) === phase) this.#phases.set(kind, this.#next(phase, recording));
    return made;
  }

  #next(before: 'run once' | Recording, recording: Recording | null): Phase {
    if (recording === null) return 'not fixed';
    if (before === 'run once') return recording;
    return sameCalls(before, recording) ? new Tape(this.#backend.binding, recording) : 'not fixed';
  }

  /** Only calls before the first wait certainly belong to this slice: another slice may run in the same thread meanwhile. */
  async #record(inputs: readonly TfTensor[]): Promise<{ made: TfTensor[]; recording: Recording | null }> {
    const recorder = new Recorder(this.#backend, inputs, isShapeLike);
    let running: ReturnType<TfSlice['run']>;
    try {
      running = this.#slice.run(inputs);
    } finally {
      recorder.stop();
    }
    const made = await running;
    return { made, recording: recorder.recordingOf(this.#backend.getInputTensorIds(made)) };
  }

  /** A run that fails on a tape is repeated in tfjs, which names the layer; if that succeeds, the tape was wrong. */
  async #play(tape: Tape, kind: string, inputs: readonly TfTensor[]): Promise<TfTensor[]> {
    let played: ReturnType<Tape['play']>;
    try {
      played = tape.play(this.#backend.getInputTensorIds(inputs));
    } catch {
      const made = await this.#slice.run(inputs);
      tape.dispose();
      this.#phases.set(kind, 'not fixed');
      return made;
    }
    const tensors = new Map<unknown, TfTensor>();
    return played.map((each) => {
      const first = typeof each === 'number' ? inputs[each]! : tensors.get(each);
      if (first) return first.clone();
      const tensor = this.#backend.createOutputTensor(each as Exclude<typeof each, number>);
      tensors.set(each, tensor);
      return tensor;
    });
  }

  dispose(): void {
    for (const phase of this.#phases.values()) if (phase instanceof Tape) phase.dispose();
    this.#phases.clear();
    this.#slice.dispose();
  }
}

/** The key of inputs for which the same calls are made. */
function kindOf(input: TfTensor): readonly unknown[] {
  return [input.dtype, input.shape, isShapeLike(input) ? [...input.dataSync()] : null];
}

/** A shape, or a part of one, as graphs exported from Keras compute it once for all their layers: its values decide which calls are made. */
function isShapeLike({ dtype, shape, size }: TfTensor): boolean {
  return dtype === 'int32' && shape.length <= 1 && size <= 8;
}
