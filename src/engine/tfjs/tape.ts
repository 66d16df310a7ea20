/** A tape: replays a recording for other rows of the same shapes, without the JavaScript of tfjs around each native call. */
import { spentAfter } from '../../liveness.js';
import type { Binding, Made } from './binding.js';
import type { Recording, Step } from './recording.js';
import { withoutReshapes } from './reshapes.js';

interface TapeStep extends Step {
  readonly shapes: readonly (readonly number[])[];
  /** Tensors that are read here for the last time. */
  readonly spent: readonly number[];
}

/** An output: the input at that index, or the result of an op. */
export type Played = number | Made;

/**
 * Replays the same ops on the same values in the same order, so its results are those of the recorded run to the bit. What it leaves out changes no
 * value: a Reshape of a Reshape, a Reshape to the same shape.
 */
export class Tape {
  readonly #binding: Binding;
  readonly #feeds: number;
  readonly #outputs: readonly number[];
  readonly #steps: readonly TapeStep[];
  /** TensorFlow's numbers by the recording's: weights, and constants, which the tape owns. */
  readonly #standing: number[];
  readonly #own: readonly number[];

  constructor(binding: Binding, recording: Recording) {
    const shorter = withoutReshapes(recording);
    const { feeds, weights, constants, steps, outputs } = shorter;
    this.#binding = binding;
    this.#feeds = feeds;
    this.#outputs = outputs;
    this.#steps = tapeSteps(shorter);
    this.#standing = [];
    const read = new Set(steps.flatMap(({ inputs }) => inputs));
    for (const [place, id] of weights) this.#standing[place] = id;
    for (const [place, { shape, dtype, values }] of constants) {
      if (read.has(place)) this.#standing[place] = binding.createTensor(shape, dtype, values);
    }
    this.#own = [...constants.keys()].flatMap((place) => this.#standing[place] ?? []);
  }

  /** `feeds` are TensorFlow's numbers of the inputs; the results belong to the caller. Throws what TensorFlow throws, and deletes all results then. */
  play(feeds: readonly number[]): Played[] {
    const made = new Map<number, Made>();
    try {
      const ids = [...this.#standing];
      for (const [place, id] of feeds.entries()) ids[place] = id;
      for (const step of this.#steps) this.#run(step, ids, made);
      return this.#outputs.map((place) => (place < this.#feeds ? place : made.get(place)!));
    } catch (cause) {
      for (const { id } of made.values()) this.#binding.deleteTensor(id);
      throw cause;
    }
  }

  #run({ name, attrs, inputs, outputs, shapes, spent }: TapeStep, ids: number[], made: Map<number, Made>): void {
    const results = this.#binding.executeOp(
      name,
      attrs,
      inputs.map((place) => ids[place]!),
      outputs.length,
    );
    for (const [n, result] of results.entries()) {
      ids[outputs[n]!] = result.id;
      made.set(outputs[n]!, result);
    }
    for (const [n, { shape }] of results.entries()) {
      if (!sameShape(shape, shapes[n]!))
        throw new Error(`${name} made [${shape}], and [${shapes[n]}] when it was recorded`);
    }
    for (const place of spent) {
      this.#binding.deleteTensor(ids[place]!);
      made.delete(place);
    }
  }

  dispose(): void {
    for (const id of this.#own) this.#binding.deleteTensor(id);
  }
}

/** The steps, each with the tensors that it reads last; inputs, weights, constants and outputs stay. */
function tapeSteps({ feeds, weights, constants, steps, outputs, shapes }: Recording): TapeStep[] {
  const kept = [...Array(feeds).keys(), ...weights.keys(), ...constants.keys(), ...outputs];
  const spent = spentAfter(steps, kept);
  return steps.map((step, n) => ({
    ...step,
    shapes: step.outputs.map((place) => shapes.get(place)!),
    spent: spent[n]!,
  }));
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, n) => dim === b[n]);
}
