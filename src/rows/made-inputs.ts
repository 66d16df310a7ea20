/** Inputs that follow from the length of a row, so rows need not give them: masks, token types, positions; and what padding is where there is a mask. */
import { inputAxis } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import { allocate, type Tensor, type TensorSpec, type TypedArray } from '../tensor.js';

/** Ones on the row's own values, zeros, or 0, 1, 2 … */
export type Made = 'ones' | 'zeros' | 'positions';

/** As exporters name them. */
const NAMES: readonly (readonly [RegExp, Made])[] = [
  [/(^|[._/])(attention_mask|input_mask|padding_mask)$|^mask$/, 'ones'],
  [/(^|[._/])(token_type_ids|segment_ids)$/, 'zeros'],
  [/(^|[._/])position_ids$/, 'positions'],
];

/** By name, how inputs are made that rows need not give. `specs` have the shape of one row; `null` dimensions are ragged. */
export function madeInputs(specs: readonly TensorSpec[]): Map<string, Made> {
  const found = specs.flatMap(({ name, shape }): [string, Made][] => {
    const made = NAMES.find(([pattern]) => pattern.test(name))?.[1];
    return made && shape.length === 1 && shape[0] === null ? [[name, made]] : [];
  });
  const made = new Map(found);
  const tellsLength = specs.some(({ name, shape }) => !made.has(name) && shape.includes(null));
  return tellsLength ? made : new Map();
}

/** The values of a row of this length. */
export function makeInput({ dtype }: TensorSpec, made: Made, length: number): Tensor {
  const data = allocate(dtype, [length]);
  if (made === 'ones') put(data, () => 1);
  if (made === 'positions') put(data, (n) => n);
  return { dtype, shape: [length], data };
}

function put(data: TypedArray, valueAt: (n: number) => number): void {
  for (let n = 0; n < data.length; n++) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[n] = BigInt(valueAt(n));
    else data[n] = valueAt(n);
  }
}

/**
 * The padding of each input: zeros, where a mask shows the model which values are a row's own and all ragged dimensions of the model are one.
 * Else `null`: the model would take padding for values.
 */
export function paddingOf(graph: ModelGraph, specs: readonly TensorSpec[]): readonly number[] | null {
  const hasMask = [...madeInputs(specs).values()].includes('ones');
  const names = specs.flatMap(({ name, shape }) => {
    const axis = inputAxis(graph, name);
    const declared = graph.dimensions?.get(name)?.toSpliced(axis ?? 0, 1) ?? [];
    return shape.flatMap((dim, n) => (dim === null ? [declared[n] ?? null] : []));
  });
  return hasMask && new Set(names).size === 1 ? specs.map(() => 0) : null;
}
