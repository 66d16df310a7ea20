/** One object as one row: its id, and the value of each model input. */
import type { TensorSpec } from '../../tensor.js';
import { nearestName } from '../nearest-name.js';
import type { RowFailure, RowId } from '../source.js';
import { kindOf } from './json-element.js';
import { isList } from './nested-list.js';
import { memberPath, RowFault } from './row-fault.js';

export interface ObjectRow {
  readonly index: number;
  readonly id: RowId;
  /** One for each model input, in its order. */
  readonly values: readonly InputValue[];
}

export interface InputValue {
  /** How messages name it: `inputs.image`. */
  readonly path: string;
  readonly value: unknown;
}

/** As much of a foreign name as a message shows. */
const SHOWN = 40;

/**
 * The row that `find` gives, or its failure; the id is told as soon as it can be read. Element values are looked at later.
 * A row is `{ id?, inputs: { name: value } }`, or the value itself when the model has one input.
 */
export function readRow(find: () => unknown, index: number, specs: readonly TensorSpec[]): ObjectRow | RowFailure {
  let id: RowId = index;
  try {
    const row = find();
    id = idOf(row) ?? index;
    return { index, id, values: inputsOf(row, specs) };
  } catch (error) {
    if (error instanceof RowFault) return error.at(index, id);
    throw error;
  }
}

function idOf(row: unknown): RowId | null {
  if (!isObject(row) || !Object.hasOwn(row, 'id') || row.id === null) return null;
  const { id } = row;
  if (typeof id === 'string') return id;
  if (typeof id !== 'number') throw invalid(`id is ${kindOf(id)}; it must be a string or a number`);
  if (!Number.isFinite(id) || (Number.isInteger(id) && !Number.isSafeInteger(id))) {
    throw invalid('id has more digits than a JSON number keeps; write it as a string');
  }
  return id;
}

function inputsOf(row: unknown, specs: readonly TensorSpec[]): InputValue[] {
  const example = `{"inputs":{${specs.map(({ name }) => `${JSON.stringify(name)}:…`).join(',')}}}`;
  if (!isObject(row)) {
    if (specs.length === 1) return [{ path: 'row', value: row }];
    throw invalid(`the row is ${kindOf(row)}; this model takes ${example}`);
  }
  if (!Object.hasOwn(row, 'inputs')) throw invalid(`the row has no "inputs"; this model takes ${example}`);
  const { inputs } = row;
  if (!isObject(inputs)) {
    if (specs.length === 1) return [{ path: 'inputs', value: inputs }];
    throw invalid(`inputs is ${kindOf(inputs)}; this model takes ${example}`);
  }
  refuseUnknown(inputs, specs);
  return specs.map(({ name }) => {
    const path = memberPath('inputs', name);
    if (!Object.hasOwn(inputs, name)) throw invalid(`${path} is missing`);
    return { path, value: inputs[name] };
  });
}

function refuseUnknown(inputs: Record<string, unknown>, specs: readonly TensorSpec[]): void {
  const names = specs.map(({ name }) => name);
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const nearest = nearestName(unknown, names);
  const hint = nearest === null ? `the model has ${names.join(', ')}` : `did you mean ${nearest}?`;
  throw invalid(`${memberPath('inputs', unknown.slice(0, SHOWN))} is not an input of the model: ${hint}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !isList(value);
}

export function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
