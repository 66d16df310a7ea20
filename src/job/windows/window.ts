/** A window: consecutive rows of the input, computed in any order and put back into that of the input. */
import type { TandemError } from '../../errors.js';
import type { RowsDone } from '../../output/sink.js';
import type { LengthPlan } from '../../plan/length-plan.js';
import { nonFiniteRows } from '../../rows/finite.js';
import type { RaggedRead, RaggedRow, RowsOutput, WindowParts } from '../../rows/ragged-source.js';
import { allocate, type Tensor, type TensorSpec, type TypedArray } from '../../tensor.js';
import { stageFailures } from '../row-failures.js';
import { type Batch, batchesOf } from './batches.js';
import { sizeOf } from './row-size.js';

/** What a window is divided by. */
export interface Division {
  readonly specs: readonly TensorSpec[];
  readonly lengths: LengthPlan;
  /** Rows of a micro-batch. */
  readonly mostRows: number;
}

export class Window {
  readonly batches: readonly Batch[];
  /** Position of the first row in the input. */
  readonly #firstRow: number;
  readonly #read: RaggedRead;
  readonly #tensors = new Map<string, Tensor>();
  readonly #ragged = new Map<string, Tensor[]>();
  readonly #failed = new Map<number, TandemError>();
  #nonFinite = 0;
  #done = 0;
  #batchesDone = 0;

  constructor(read: RaggedRead, firstRow: number, { specs, lengths, mostRows }: Division) {
    this.#read = read;
    this.#firstRow = firstRow;
    const sizes = read.good.map((row) => sizeOf(row, specs));
    this.batches = batchesOf(sizes, lengths, mostRows);
  }

  rowsOf({ places }: Batch): RaggedRow[] {
    return places.map((place) => this.#read.good[place]!);
  }

  /** Good rows that have come out. */
  get done(): number {
    return this.#done;
  }

  get isDone(): boolean {
    return this.#batchesDone === this.batches.length;
  }

  /** Keeps what was made of a micro-batch. `failed` by place in the micro-batch. */
  add({ places }: Batch, outputs: ReadonlyMap<string, RowsOutput>, failed: ReadonlyMap<number, TandemError>): void {
    for (const [place, error] of failed) this.#failed.set(places[place]!, error);
    const infinite = new Set<number>();
    for (const [name, output] of outputs) {
      if (isList(output)) this.#keepEach(name, places, output, infinite);
      else this.#keep(name, places, output, infinite);
    }
    this.#nonFinite += [...infinite].filter((place) => !failed.has(place)).length;
    this.#done += places.length;
    this.#batchesDone += 1;
  }

  /** Of a window without good rows: its outputs have no rows, and the shape that others have. */
  addNone(outputs: ReadonlyMap<string, RowsOutput>): void {
    for (const [name, output] of outputs) {
      if (isList(output)) this.#ragged.set(name, []);
      else this.#keep(name, [], output, new Set());
    }
  }

  /** What was kept, for a source whose good rows are not the rows of the input one for one. */
  get parts(): WindowParts {
    return { firstRow: this.#firstRow, read: this.#read, outputs: this.#tensors, failed: this.#failed };
  }

  /** All its rows, in the order of the input. */
  result(): RowsDone {
    const { good: _, ...read } = this.#read;
    return {
      ...read,
      firstRow: this.#firstRow,
      outputs: this.#tensors,
      ...(this.#ragged.size > 0 ? { ragged: this.#ragged } : {}),
      failed: stageFailures(this.#firstRow, read, this.#failed),
      nonFiniteRows: this.#nonFinite,
      microBatches: this.batches.length,
      isOwn: true,
    };
  }

  #keep(name: string, places: readonly number[], tensor: Tensor, infinite: Set<number>): void {
    for (const place of nonFiniteRows([tensor], places.length)) infinite.add(place);
    const { dtype, shape, data } = tensor;
    const [, ...row] = shape;
    let whole = this.#tensors.get(name);
    if (!whole) {
      const all = [this.#read.good.length, ...row];
      whole = { dtype, shape: all, data: allocate(dtype, all) };
      this.#tensors.set(name, whole);
    }
    const elements = row.reduce((count, dim) => count * dim, 1);
    for (const [n, place] of places.entries()) {
      const values = data.subarray(n * elements, (n + 1) * elements) as TypedArray;
      (whole.data as Float32Array).set(values as Float32Array, place * elements);
    }
  }

  #keepEach(name: string, places: readonly number[], tensors: readonly Tensor[], infinite: Set<number>): void {
    const whole = this.#ragged.get(name) ?? [];
    this.#ragged.set(name, whole);
    for (const [n, place] of places.entries()) {
      const tensor = tensors[n]!;
      whole[place] = tensor;
      if (nonFiniteRows([tensor], 1).size > 0) infinite.add(n);
    }
  }
}

function isList(output: RowsOutput): output is readonly Tensor[] {
  return Array.isArray(output);
}
