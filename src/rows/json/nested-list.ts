/** Flattens the nested lists of one row into a tensor. A value that does not fit is reported with its exact path. */
import { allocate, type DType, type Shape, type TensorSpec, type TypedArray } from '../../tensor.js';
import { type Report, scanElements } from '../npy/npy-elements.js';
import { RowFault } from '../row-fault.js';
import { type Encode, encoderOf, kindOf } from './json-element.js';

/**
 * The dims of `value` along its first elements, for a `shape` with open dims. `root` is the value's path in messages.
 * `NestedList.check` checks the other elements. Throws RowFault for a flat array that does not determine the open dims.
 */
export function dimsOf(value: unknown, shape: Shape, root: string): number[] {
  if (isTyped(value) && shape.length > 1) return dimsOfFlat(value.length, shape, root);
  let inner = value;
  return shape.map((dim) => {
    // An empty list has no element to take a length from.
    const length = isList(inner) ? inner.length : inner === undefined ? 0 : 1;
    inner = isList(inner) ? inner[0] : undefined;
    return dim ?? length;
  });
}

/** The dims of nested lists along their first elements; empty for a single value. */
export function nestedDims(value: unknown): number[] {
  const dims: number[] = [];
  for (let inner = value; isList(inner); inner = inner[0]) dims.push(inner.length);
  return dims;
}

/** One open dim is the length divided by the fixed dims. */
function dimsOfFlat(length: number, shape: Shape, root: string): number[] {
  const known = shape.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  const open = shape.filter((dim) => dim === null).length;
  if (open === 0) return shape as number[];
  if (open === 1 && known > 0 && length % known === 0) return shape.map((dim) => dim ?? length / known);
  const takes = shape.map((dim) => dim ?? '?').join(' x ');
  throw new RowFault(
    'TANDEM_ROW_SHAPE',
    `${root} is a flat array of ${length}, which does not determine ${takes}: give nested lists`,
  );
}

/** A typed array is a list too: the innermost list, or a whole row flattened. */
export function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || isTyped(value);
}

function isTyped(value: unknown): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** Writes the values of one input: fixed dims and the encoding of its elements. */
export class NestedList {
  /** Elements of one row. */
  readonly elements: number;
  readonly #dims: readonly number[];
  /** The end of the message about a wrong length on this axis: the row that set the right length. */
  readonly #setBy: (axis: number) => string;
  readonly #encode: Encode;
  readonly #dtype: DType;
  readonly #allowNonFinite: boolean;
  /** The constructor of the tensor's own array type: 16-bit floats as words, bools as bytes. */
  readonly #arrayType: unknown;
  /** The position of `#fill`: one index for each axis that it has entered. */
  readonly #indexes: number[] = [];
  #root = '';

  constructor(
    { dtype, shape }: TensorSpec,
    dims: readonly number[],
    { firstGoodRow, allowNonFinite }: { readonly firstGoodRow: number; readonly allowNonFinite: boolean },
  ) {
    this.elements = dims.reduce((count, dim) => count * dim, 1);
    this.#dims = dims;
    this.#setBy = (axis) => (shape[axis] === null ? `, the length in row ${firstGoodRow}` : '');
    this.#encode = encoderOf(dtype, allowNonFinite);
    this.#dtype = dtype;
    this.#allowNonFinite = allowNonFinite;
    this.#arrayType = allocate(dtype, [0]).constructor;
  }

  /** Throws RowFault unless `value` at path `root` fits. */
  check(value: unknown, root: string): void {
    this.#start(root);
    this.#fillRow(value, null, 0);
  }

  /** Write `value` into `data` from element `at` on. On RowFault the elements written so far are left for the caller to clear. */
  write(value: unknown, root: string, data: TypedArray, at: number): void {
    this.#start(root);
    this.#fillRow(value, data, at);
  }

  #start(root: string): void {
    this.#indexes.length = 0;
    this.#root = root;
  }

  /** A typed array may hold the whole row flattened. */
  #fillRow(value: unknown, data: TypedArray | null, at: number): void {
    if (!isTyped(value)) this.#fill(value, 0, data, at);
    else if (value.length !== this.elements) {
      const expected = `${this.elements} belong (${this.#dims.join(' x ')})`;
      throw new RowFault('TANDEM_ROW_SHAPE', `${this.#path()} has ${count(value.length)} where ${expected}`);
    } else this.#fillList(value, value.length, data, at);
  }

  /** `axis` is the nesting depth of `value`. Returns the index after the last element written. */
  #fill(value: unknown, axis: number, data: TypedArray | null, at: number): number {
    const length = this.#dims[axis];
    if (length === undefined) return this.#put(value, data, at);
    const list = this.#list(value, axis, length);
    if (axis === this.#dims.length - 1) return this.#fillList(list, length, data, at);
    const depth = this.#indexes.push(0) - 1;
    let next = at;
    for (let n = 0; n < length; n++) {
      this.#indexes[depth] = n;
      next = this.#fill(list[n], axis + 1, data, next);
    }
    this.#indexes.pop();
    return next;
  }

  /** Writes the elements of an innermost list. */
  #fillList(list: ArrayLike<unknown>, length: number, data: TypedArray | null, at: number): number {
    const depth = this.#indexes.push(0) - 1;
    if (list.constructor === this.#arrayType) this.#copy(list as TypedArray, data, at, depth);
    else {
      for (let n = 0; n < length; n++) {
        this.#indexes[depth] = n;
        this.#put(list[n], data, at + n);
      }
    }
    this.#indexes.pop();
    return at + length;
  }

  #copy(list: TypedArray, data: TypedArray | null, at: number, depth: number): void {
    const report: Report = (n, code, what) => {
      this.#indexes[depth] = n;
      throw new RowFault(code, `${this.#path()} ${what}`);
    };
    scanElements(this.#dtype, list, list.length, report, { allowNonFinite: this.#allowNonFinite });
    data?.set(list as never, at);
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
    if (value.length !== length) {
      if (value.length === 0) throw new RowFault('TANDEM_ROW_SHAPE', `${this.#path()} is an empty list`);
      const expected = `${length} belong${this.#setBy(axis)}`;
      throw new RowFault('TANDEM_ROW_SHAPE', `${this.#path()} has ${count(value.length)} where ${expected}`);
    }
    return value;
  }

  #path(): string {
    return `${this.#root}${this.#indexes.map((index) => `[${index}]`).join('')}`;
  }
}

function count(values: number): string {
  return values === 1 ? '1 value' : `${values} values`;
}
