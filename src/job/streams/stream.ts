/** One file under way: its next window, what is carried to it, and its results so far. */

import type { WavStream } from '../../rows/audio/wav-stream.js';
import type { RowFailure } from '../../rows/source.js';
import { allocate, elementCount, type Tensor, type TensorSpec, type TypedArray } from '../../tensor.js';

export interface StreamParts {
  readonly row: number;
  readonly sound: WavStream;
  /** Inputs that are carried, as of one row. */
  readonly carried: readonly TensorSpec[];
}

export class Stream {
  readonly row: number;
  readonly sound: WavStream;
  /** By input, in private memory: zeros for the first window. */
  readonly carried: ReadonlyMap<string, TypedArray>;
  /** By output, (1, windows, ...). */
  readonly outputs = new Map<string, Tensor>();
  /** The next window. */
  window = 0;
  failure: RowFailure | null = null;

  constructor({ row, sound, carried }: StreamParts) {
    this.row = row;
    this.sound = sound;
    this.carried = new Map(carried.map(({ name, dtype, shape }) => [name, allocate(dtype, shape as number[])]));
  }

  get isDone(): boolean {
    return this.failure !== null || this.window === this.sound.windows;
  }

  /** Takes what the pipeline has made of the next window: row `place` of the outputs, by public name. */
  take(outputs: ReadonlyMap<string, Tensor>, place: number, { carry, kept }: Taking): void {
    for (const [input, output] of carry) copyRow(outputs.get(output)!, place, this.carried.get(input)!, 0);
    for (const name of kept) {
      const tensor = outputs.get(name)!;
      let whole = this.outputs.get(name);
      if (!whole) {
        const shape = [1, this.sound.windows, ...tensor.shape.slice(1)];
        whole = { dtype: tensor.dtype, shape, data: allocate(tensor.dtype, shape) };
        this.outputs.set(name, whole);
      }
      copyRow(tensor, place, whole.data, this.window);
    }
    this.window += 1;
  }
}

/** Which outputs go where. */
export interface Taking {
  /** By input, the output whose value the next window is given. */
  readonly carry: ReadonlyMap<string, string>;
  /** Outputs that are results. */
  readonly kept: readonly string[];
}

/** Row `place` of a tensor as row `at` of `into`, which has rows of the same size. */
function copyRow({ data, shape }: Tensor, place: number, into: TypedArray, at: number): void {
  const elements = elementCount(shape.slice(1));
  const row = data.subarray(place * elements, (place + 1) * elements) as Float32Array;
  (into as Float32Array).set(row, at * elements);
}
