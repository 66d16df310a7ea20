/** The rows of a bench: held in memory, repeated from the first when they end, the same for every case. */
import { type TrialRows, type Workload, type WorkloadFeed, workloadFeed } from '../planner/trial/workload.js';
import { bytesOf, bytesPerElement, type Tensor, type TensorSpec, zeroRows } from '../tensor.js';

/** Bytes of rows that are held at most. */
const MOST_BYTES = 64 << 20;
const MOST_ROWS = 256;

export class RowBank implements TrialRows {
  readonly specs: readonly TensorSpec[];
  /** One for each input, (rows, ...). */
  readonly #tensors: readonly Tensor[];
  readonly rows: number;

  /** `tensors` follow the model's inputs, (rows, ...) each. */
  constructor(specs: readonly TensorSpec[], tensors: readonly Tensor[]) {
    this.specs = specs;
    this.#tensors = tensors;
    this.rows = tensors[0]!.shape[0]!;
  }

  /**
   * Rows that any model takes: floats from -1 to 1, and whole numbers that are 0 or 1, so that they are token numbers,
   * masks and class numbers of every vocabulary. `specs` are those of one row.
   */
  static random(specs: readonly TensorSpec[], seed = 1): RowBank {
    const tensors = zeroRows(specs, bankRows(specs));
    let state = seed >>> 0;
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    for (const { dtype, data } of tensors) fillRandom(dtype, data, next);
    return new RowBank(specs, tensors);
  }

  feed(workload: Workload): WorkloadFeed {
    return workloadFeed(workload, (into, at, count) => {
      for (const [n, tensor] of into.entries()) this.#copy(n, at % this.rows, count, tensor);
    });
  }

  #copy(input: number, from: number, count: number, into: Tensor): void {
    const source = bytesOf(this.#tensors[input]!.data);
    const target = bytesOf(into.data);
    const perRow = source.length / this.rows;
    for (let done = 0; done < count; ) {
      const first = (from + done) % this.rows;
      const rows = Math.min(count - done, this.rows - first);
      target.set(source.subarray(first * perRow, (first + rows) * perRow), done * perRow);
      done += rows;
    }
  }
}

/** The number of rows in a bank of such rows. */
export function bankRows(specs: readonly TensorSpec[]): number {
  const perRow = specs.reduce(
    (sum, { dtype, shape }) => sum + shape.reduce<number>((size, dim) => size * dim!, bytesPerElement(dtype)),
    0,
  );
  return Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_BYTES / Math.max(1, perRow))));
}

function fillRandom(dtype: Tensor['dtype'], data: Tensor['data'], next: () => number): void {
  for (let n = 0; n < data.length; n++) {
    if (dtype === 'float32' || dtype === 'float64') data[n] = 2 * next() - 1;
    else if (dtype === 'int64' || dtype === 'uint64') (data as BigInt64Array)[n] = next() < 0.5 ? 0n : 1n;
    // The bits of 1.0 in types that are stored as words.
    else if (dtype === 'float16' || dtype === 'bfloat16')
      data[n] = next() < 0.5 ? 0 : dtype === 'float16' ? 0x3c00 : 0x3f80;
    else data[n] = next() < 0.5 ? 0 : 1;
  }
}
