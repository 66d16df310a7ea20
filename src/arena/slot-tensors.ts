/** The tensors of a slot: views of its shared memory, region by region, and the dims that their writer left. Only for who owns the slot. */
import { TandemError } from '../errors.js';
import { type Tensor, viewOf } from '../tensor.js';
import type { Region } from './layout.js';

export class SlotTensors {
  readonly #memory: ArrayBufferLike;
  readonly #header: Int32Array;
  readonly #offset: number;
  /** Views are made once: making them costs more than looking them up. */
  readonly #rooms = new Map<Region, Tensor>();

  /** `header` is the slot's, in which the dims stand; its data begins at byte `offset` of `memory`. */
  constructor(memory: ArrayBufferLike, header: Int32Array, offset: number) {
    this.#memory = memory;
    this.#header = header;
    this.#offset = offset;
  }

  /** The tensor in `region` with the dims that its writer left; a view, valid while the slot is owned. */
  at(region: Region): Tensor {
    const { dimsAt, shape, dtype, offset } = region;
    if (shape.every((dim, axis) => dim === this.#header[dimsAt + axis])) return this.room(region);
    const dims = shape.map((_, axis) => this.#header[dimsAt + axis]!);
    return viewOf(dtype, dims, this.#memory, this.#offset + offset);
  }

  /** The whole of `region`, at its largest shape, to be filled. */
  room(region: Region): Tensor {
    let room = this.#rooms.get(region);
    if (!room) {
      room = viewOf(region.dtype, region.shape, this.#memory, this.#offset + region.offset);
      this.#rooms.set(region, room);
    }
    return room;
  }

  /** Says which part of `region` holds values: `dims` are at most its largest shape in bytes. */
  setDims(region: Region, dims: readonly number[]): void {
    this.#header.set(dims, region.dimsAt);
  }

  /** The same for `rows` rows of its largest shape. */
  setRows({ dimsAt, shape }: Region, rows: number): void {
    this.#header[dimsAt] = rows;
    for (let axis = 1; axis < shape.length; axis++) this.#header[dimsAt + axis] = shape[axis]!;
  }

  /** Copies a result into its region. Throws TANDEM_STAGE_FAILED when that is not what it was laid out for. */
  store(region: Region, tensor: Tensor): void {
    const room = this.room(region);
    const fits = tensor.dtype === region.dtype && tensor.shape.length === region.shape.length;
    if (!fits || tensor.data.length > room.data.length) {
      throw new TandemError(
        'TANDEM_STAGE_FAILED',
        `tensor ${region.name} came out as ${tensor.dtype} [${tensor.shape.join(', ')}], but its room is ${region.dtype} [${region.shape.join(', ')}]`,
        {
          remedy:
            'a model whose shapes depend on the values of the rows cannot be pipelined across this cut: cut elsewhere with layers=',
        },
      );
    }
    this.#header.set(tensor.shape, region.dimsAt);
    (room.data as Float32Array).set(tensor.data as Float32Array);
  }
}
