/** Prepared rows as they cross from a rows worker: all tensors of a call in one buffer, which is moved and not copied. */
import { bytesOf, bytesPerElement, type DType, type Tensor, viewOf } from '../tensor.js';
import type { Prepared, PreparedRow } from './task.js';

/** Each tensor begins at a multiple of this: typed arrays must be aligned. */
const ALIGNMENT = 8;

/** Bytes from which a tensor is not copied if it comes first. A preparer must not use its memory again. */
const LARGE = 1 << 16;

interface PackedTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly offset: number;
}

type PackedRow =
  | (Pick<PreparedRow, 'counts' | 'groups'> & {
      readonly tensors: readonly PackedTensor[];
      readonly more?: readonly (readonly PackedTensor[])[];
    })
  | Extract<Prepared, { fault: unknown }>;

export interface PackedRows {
  readonly buffer: ArrayBuffer;
  readonly rows: readonly PackedRow[];
}

/** Collects rows one by one, so that a preparer may use its own memory again, unless that is large. */
export class RowsPacker {
  #bytes = new Uint8Array(1 << 12);
  #used = 0;
  readonly #rows: PackedRow[] = [];

  add(row: Prepared): void {
    if ('fault' in row) {
      this.#rows.push(row);
      return;
    }
    const { tensors, more, ...rest } = row;
    const append = (each: readonly Tensor[]) => each.map((tensor) => this.#append(tensor));
    this.#rows.push({ ...rest, tensors: append(tensors), ...(more && { more: more.map(append) }) });
  }

  packed(): PackedRows {
    // One large row has grown the buffer to just its size: an image is not copied again.
    const { buffer, length } = this.#bytes;
    return { buffer: this.#used === length ? buffer : buffer.slice(0, this.#used), rows: this.#rows };
  }

  #append({ dtype, shape, data }: Tensor): PackedTensor {
    // What has a buffer of its own, such as a large image, becomes the buffer of the call.
    if (this.#used === 0 && data.byteLength >= LARGE && data.byteLength === data.buffer.byteLength) {
      this.#bytes = bytesOf(data) as Uint8Array<ArrayBuffer>;
      this.#used = data.byteLength;
      return { dtype, shape, offset: 0 };
    }
    const offset = Math.ceil(this.#used / ALIGNMENT) * ALIGNMENT;
    const end = offset + data.length * bytesPerElement(dtype);
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytesOf(data), offset);
    this.#used = end;
    return { dtype, shape, offset };
  }
}

/** The rows again, as views of the buffer. */
export function unpackRows({ buffer, rows }: PackedRows): Prepared[] {
  return rows.map((row) => {
    if ('fault' in row) return row;
    const { tensors, more, ...rest } = row;
    const views = (each: readonly PackedTensor[]) =>
      each.map(({ dtype, shape, offset }) => viewOf(dtype, shape, buffer, offset));
    return { ...rest, tensors: views(tensors), ...(more && { more: more.map(views) }) };
  });
}
