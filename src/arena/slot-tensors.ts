/** The tensors of a slot: views of its shared memory, region by region, with the dims that their writer set. Only for the slot's owner. */
import { TandemError } from '../errors.js';
import { bytesPerElement, elementCount, type Tensor, type TypedArray, viewOf } from '../tensor.js';
import type { Region } from './layout.js';

export class SlotTensors {
  readonly #memory: ArrayBufferLike;
  readonly #header: Int32Array;
  readonly #offset: number;
  /** Views are made once: making them costs more than looking them up. */
  readonly #largest = new Map<Region, Tensor>();
  /** All elements that a region has room for, where these are more than its largest shape has. */
  readonly #rooms = new Map<Region, TypedArray>();

  /** `header` is the slot's header, which contains the dims; the slot's data begins at byte `offset` of `memory`. */
  constructor(memory: ArrayBufferLike, header: Int32Array, offset: number) {
    this.#memory = memory;
    this.#header = header;
    this.#offset = offset;
  }

  /** The tensor in `region` with the dims that its writer set; a view, valid while the slot is owned. */
  at(region: Region): Tensor {
    const { dimsAt, shape, dtype, offset } = region;
    if (shape.every((dim, axis) => dim === this.#header[dimsAt + axis])) return this.largest(region);
    const dims = shape.map((_, axis) => this.#header[dimsAt + axis]!);
    return viewOf(dtype, dims, this.#memory, this.#offset + offset);
  }

  /** The part of `region` that a tensor of these dims takes; a view. Throws TANDEM_INTERNAL if it does not fit. */
  part(region: Region, dims: readonly number[]): Tensor {
    const { shape, dtype, offset, name } = region;
    if (dims.length !== shape.length || elementCount(dims) > this.room(region).length) {
      throw new TandemError(
        'TANDEM_INTERNAL',
        `a micro-batch has [${dims.join(', ')}] for ${name}, and there is room for [${shape.join(', ')}]`,
      );
    }
    if (dims.every((dim, axis) => dim === shape[axis])) return this.largest(region);
    return viewOf(dtype, dims, this.#memory, this.#offset + offset);
  }

  /** The whole of `region`, at its largest shape, to be filled. */
  largest(region: Region): Tensor {
    let view = this.#largest.get(region);
    if (!view) {
      view = viewOf(region.dtype, region.shape, this.#memory, this.#offset + region.offset);
      this.#largest.set(region, view);
    }
    return view;
  }

  /** All elements of `region`, whatever its shape. */
  room(region: Region): TypedArray {
    const { data } = this.largest(region);
    if (data.byteLength === region.bytes) return data;
    let room = this.#rooms.get(region);
    if (!room) {
      const { dtype, bytes, offset } = region;
      room = viewOf(dtype, [bytes / bytesPerElement(dtype)], this.#memory, this.#offset + offset).data;
      this.#rooms.set(region, room);
    }
    return room;
  }

  /** Sets the dims of the tensor in `region`. They need at most the bytes of the region. */
  setDims(region: Region, dims: readonly number[]): void {
    this.#header.set(dims, region.dimsAt);
  }

  /** Copies a result into its region. Throws TANDEM_STAGE_FAILED if the region is not laid out for it. */
  store(region: Region, tensor: Tensor): void {
    const room = this.room(region);
    const fits = tensor.dtype === region.dtype && tensor.shape.length === region.shape.length;
    if (!fits || tensor.data.length > room.length) {
      throw new TandemError(
        'TANDEM_STAGE_FAILED',
        `tensor ${region.name} came out as ${tensor.dtype} [${tensor.shape.join(', ')}], but its region is ${region.dtype} [${region.shape.join(', ')}]`,
        {
          remedy:
            'a model whose shapes depend on the values of the rows cannot be pipelined across this cut: cut elsewhere with layers=',
        },
      );
    }
    this.#header.set(tensor.shape, region.dimsAt);
    (room as Float32Array).set(tensor.data as Float32Array);
  }
}
