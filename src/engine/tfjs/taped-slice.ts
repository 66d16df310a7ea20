/** A slice that is run by tfjs until its native calls are known, and by a tape of them from then on. */
import type { Tensor as TfTensor } from '@tensorflow/tfjs-node';
import { type NativeBackend, nativeBackend } from './binding.js';
import type { Tfjs } from './native.js';
import { Recorder, type Recording, sameCalls } from './recording.js';
import { Tape } from './tape.js';
import type { TfSlice } from './tf-slice.js';

/** How far a slice is with inputs of some kind: run once so that all weights are there, recorded, taped; or found not to be fixed. */
type Phase = 'new' | 'run once' | Recording | Tape | 'not fixed';

/** Rows of ever other lengths would fill the memory with tapes. */
const MOST_TAPES = 8;

/**
 * tfjs spends 8 % (ResNet-50) to 19 % (MobileNetV2, 16 rows of 96 x 96 on one thread) of a run in JavaScript around TensorFlow's ops. Two runs
 * of the same kind are recorded; where they made the same calls, those are what any run makes. On other backends `slice` stays as it is.
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
    // Another run may have been as far as this one.
    if (this.#phases.get(kind) === phase) this.#phases.set(kind, this.#next(phase, recording));
    return made;
  }

  #next(before: 'run once' | Recording, recording: Recording | null): Phase {
    if (recording === null) return 'not fixed';
    if (before === 'run once') return recording;
    return sameCalls(before, recording) ? new Tape(this.#backend.binding, recording) : 'not fixed';
  }

  /** Only what is called before the first wait is this slice's for certain: another may run in the same thread meanwhile. */
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

  /** What fails on a tape is run by tfjs, which names the layer; if that goes well, the tape was wrong. */
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

/** What inputs must have in common for the same calls to serve them. */
function kindOf(input: TfTensor): readonly unknown[] {
  return [input.dtype, input.shape, isShapeLike(input) ? [...input.dataSync()] : null];
}

/** A shape, or a part of one, as graphs that were exported from Keras compute it once for all their layers: its values decide what is called. */
function isShapeLike({ dtype, shape, size }: TfTensor): boolean {
  return dtype === 'int32' && shape.length <= 1 && size <= 8;
}
