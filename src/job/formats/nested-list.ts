/** Nested lists of one row, laid flat into a tensor, with the exact place told where they do not fit. */
import type { Shape, TensorSpec, TypedArray } from '../../tensor.js';
import { ENCODE, type Encode, kindOf } from './json-element.js';
import { RowFault } from './row-fault.js';

/**
 * The dims of a row whose `shape` leaves some open, as `value` has them along its first elements.
 * Whether the rest of it agrees is for `NestedList.check` to say.
 */
export function dimsOf(value: unknown, shape: Shape): number[] {
  let inner = value;
  return shape.map((dim) => {
    const length = isList(inner) ? inner.length : 1;
    inner = isList(inner) ? inner[0] : undefined;
    return dim ?? length;
  });
}

/** A typed array is a list too: the innermost one, or a whole row laid flat. */
export function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

/** One input's place in a row: fixed dims, and how its elements are stored. */
export class NestedList {
  /** Elements of one row. */
  readonly elements: number;
  readonly #dims: readonly number[];
  /** Says, after a wrong length on this axis, who set the right one. */
  readonly #setBy: (axis: number) => string;
  readonly #encode: Encode;
  /** Where `#fill` is: one index for each axis that it has gone into. */
  readonly #indexes: number[] = [];
  #root = '';

  constructor({ dtype, shape }: TensorSpec, dims: readonly number[], firstGoodRow: number) {
    this.elements = dims.reduce((count, dim) => count * dim, 1);
    this.#dims = dims;
    this.#setBy = (axis) => (shape[axis] === null ? `, as row ${firstGoodRow} has set it` : '');
    this.#encode = ENCODE[dtype];
  }

  /** Throws RowFault unless `value`, found at path `root`, fits. */
  check(value: unknown, root: string): void {
    this.#start(root);
    this.#fillRow(value, null, 0);
  }

  /** Write `value` into `data` from element `at` on. Throws RowFault; what was written till then is for the caller to clear. */
  write(value: unknown, root: string, data: TypedArray, at: number): void {
    this.#start(root);
    this.#fillRow(value, data, at);
  }

  #start(root: string): void {
    this.#indexes.length = 0;
    this.#root = root;
  }

  /** A typed array may hold the whole row laid flat. */
  #fillRow(value: unknown, data: TypedArray | null, at: number): void {
    if (Array.isArray(value) || !isList(value)) this.#fill(value, 0, data, at);
    else if (value.length !== this.elements) {
      const expected = `${this.elements} belong (${this.#dims.join(' x ')})`;
      throw new RowFault('TANDEM_ROW_SHAPE', `${this.#path()} has ${count(value.length)} where ${expected}`);
    } else if (data && value.constructor === data.constructor && !hasNaN(value)) data.set(value as never, at);
    else for (let n = 0; n < value.length; n++) this.#put(value[n], data, at + n);
  }

  /** `axis` lists are around `value` already. Returns the element after the last one written. */
  #fill(value: unknown, axis: number, data: TypedArray | null, at: number): number {
    const length = this.#dims[axis];
    if (length === undefined) return this.#put(value, data, at);
    const list = this.#list(value, axis, length);
    const depth = this.#indexes.push(0) - 1;
    let next = at;
    for (let n = 0; n < length; n++) {
      this.#indexes[depth] = n;
      next = this.#fill(list[n], axis + 1, data, next);
    }
    this.#indexes.pop();
    return next;
  }

  #put(value: unknown, data: TypedArray | null, at: number): number {
    const element = this.#encode(value);
    if (typeof element === 'object') throw new RowFault(element.code, `${this.#path()} ${element.what}`);
    if (data) data[at] = element;
    return at + 1;
  }

  #list(value: unknown, axis: number, length: number): ArrayLike<unknown> {
    if (!isList(value)) {
      throw new RowFault('TANDEM_ROW_SHAPE', `${this.#path()} is ${kindOf(value)} where a list of ${length} belongs`);
    }
    if (value.length === 0) throw new RowFault('TANDEM_ROW_SHAPE', `${this.#path()} is an empty list`);
    if (value.length !== length) {
      const expected = `${length} belong${this.#setBy(axis)}`;
      throw new RowFault('TANDEM_ROW_SHAPE', `${this.#path()} has ${count(value.length)} where ${expected}`);
    }
    return value;
  }

  #path(): string {
    return `${this.#root}${this.#indexes.map((index) => `[${index}]`).join('')}`;
  }
}

function hasNaN(values: ArrayLike<unknown>): boolean {
  for (let n = 0; n < values.length; n++) if (Number.isNaN(values[n])) return true;
  return false;
}

function count(values: number): string {
  return values === 1 ? '1 value' : `${values} values`;
}
