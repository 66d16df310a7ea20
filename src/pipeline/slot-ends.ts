/** The inputs and outputs of a slot with the rows' axis first, whichever axis the model uses for rows. */
import type { Arena } from '../arena/arena.js';
import type { Region } from '../arena/layout.js';
import type { Slot } from '../arena/slot.js';
import { inputAxis } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import { keepRows, rowsFirst, rowsInto, shapeOfRows } from '../model/move-rows.js';
import { allocate, bytesPerElement, elementCount, type Tensor, type TypedArray } from '../tensor.js';
import { firstRows, zeroRowsFrom } from './micro-batch.js';

/** An input or output of the model in a slot. */
interface Port {
  readonly region: Region;
  readonly axis: number;
  /** Private memory for a copy with the rows' axis first, reused by every micro-batch; `null` if the slot has it first. */
  readonly transposed: Tensor | null;
}

export class SlotEnds {
  readonly #inputs: readonly Port[];
  readonly #outputs: readonly Port[];
  /** The input tensors of the slot that is being filled. */
  #filling: readonly Tensor[] = [];
  /** The rows of every micro-batch if the model fixes them; shorter micro-batches are padded. */
  readonly #fixedRows: number | null;

  /** Writes inputs that are the same for all rows into every slot once, since input regions are never overwritten. `outputAxes` are by output name. */
  constructor(
    arena: Arena,
    graph: Pick<ModelGraph, 'inputs' | 'outputs' | 'inputRows' | 'fixedBatch'>,
    outputAxes: ReadonlyMap<string, number>,
  ) {
    this.#fixedRows = graph.fixedBatch;
    this.#inputs = graph.inputs.flatMap(({ name }) => {
      const region = arena.region(name);
      const axis = inputAxis(graph, name);
      if (axis !== null) return [portOf(region, axis)];
      for (const { tensors } of arena.slots) tensors.store(region, graph.inputRows!.get(name)!.value!);
      return [];
    });
    this.#outputs = graph.outputs.map((name) => portOf(arena.region(name), outputAxes.get(name) ?? 0));
  }

  /**
   * For each input that follows the rows the tensor to fill, (rows, ...). To be filled before the next call.
   * `rowShapes` are of one row each; default the largest. `most` rows; default those of a full micro-batch.
   */
  inputs(slot: Slot, rowShapes?: readonly (readonly number[])[], most?: number): readonly Tensor[] {
    this.#filling = this.#inputs.map(({ region, axis, transposed }, n) => {
      const row = rowShapes?.[n] ?? region.shape.toSpliced(axis, 1);
      const rows = this.#fixedRows ?? most ?? region.shape[axis]!;
      const tensor = slot.tensors.part(region, shapeOfRows(row, axis, rows));
      return transposed ? firstElements(transposed, [rows, ...row]) : tensor;
    });
    return this.#filling;
  }

  /** To be called after `rows` rows have been written into the tensors of the last `inputs`. */
  fill(slot: Slot, rows: number): void {
    for (const [n, { region, axis, transposed }] of this.#inputs.entries()) {
      const tensor = this.#filling[n]!;
      if (this.#fixedRows !== null) zeroRowsFrom(tensor, rows);
      const held = this.#fixedRows ?? rows;
      if (transposed) slot.tensors.setDims(region, rowsInto(tensor, axis, held, slot.tensors.room(region)));
      else slot.tensors.setDims(region, [held, ...tensor.shape.slice(1)]);
    }
  }

  /** A copy of the values of its rows. */
  values(slot: Slot): TypedArray[] {
    return this.#inputs.map(({ region }) => slot.tensors.at(region).data.slice());
  }

  /** Writes `values` into the rows `kept`, and zeros into all others. */
  keep(slot: Slot, values: readonly TypedArray[], kept: readonly number[]): void {
    for (const [n, { region, axis }] of this.#inputs.entries()) {
      keepRows(slot.tensors.at(region), axis, values[n]!, kept);
    }
  }

  /** By name, (rows, ...) each; valid until the next call, and while the slot is owned. */
  outputs(slot: Slot): Map<string, Tensor> {
    return new Map(
      this.#outputs.map(({ region, axis, transposed }) => {
        const tensor = rowsFirst(slot.tensors.at(region), axis, transposed?.data);
        return [region.name, this.#fixedRows === null ? tensor : firstRows(tensor, slot.rows)];
      }),
    );
  }

  /** By name, (0, ...) each, for a micro-batch without rows. */
  noOutputs(): Map<string, Tensor> {
    return new Map(
      this.#outputs.map(({ region: { name, dtype, shape }, axis }) => {
        const none = shapeOfRows(shape.toSpliced(axis, 1), 0, 0);
        return [name, { dtype, shape: none, data: allocate(dtype, none) }];
      }),
    );
  }
}

/** A tensor of this shape at the beginning of a larger one. */
function firstElements({ dtype, data }: Tensor, shape: readonly number[]): Tensor {
  return { dtype, shape, data: data.subarray(0, elementCount(shape)) };
}

function portOf(region: Region, axis: number): Port {
  if (axis === 0) return { region, axis, transposed: null };
  const { dtype, shape, bytes } = region;
  const first = shapeOfRows(shape.toSpliced(axis, 1), 0, shape[axis]!);
  return { region, axis, transposed: { dtype, shape: first, data: allocate(dtype, [bytes / bytesPerElement(dtype)]) } };
}
