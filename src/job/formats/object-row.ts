/** One object as one row: its id, and the value of each model input. */
import type { TensorSpec } from '../../tensor.js';
import { nearestName } from '../nearest-name.js';
import type { RowFailure, RowId } from '../source.js';
import { type BatchLine, isBatchLine } from './batch-line.js';
import { kindOf } from './json-element.js';
import { isList } from './nested-list.js';
import { memberPath, RowFault } from './row-fault.js';

export interface ObjectRow {
  readonly index: number;
  readonly id: RowId;
  /** One for each model input, in its order. */
  readonly values: readonly InputValue[];
  /** Whether it is a line of an OpenAI batch file. */
  readonly batchLine: boolean;
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
 * A row is `{ id?, inputs: { name: value } }`, or the value itself when the model has one input; or a line of an OpenAI batch
 * file, whose body holds `inputs`, or `input`.
 */
export function readRow(find: () => unknown, index: number, specs: readonly TensorSpec[]): ObjectRow | RowFailure {
  let id: RowId = index;
  let batchLine = false;
  try {
    const row = find();
    batchLine = isObject(row) && isBatchLine(row);
    id = idOf(row) ?? index;
    return { index, id, values: inputsOf(row, specs), batchLine };
  } catch (error) {
    if (error instanceof RowFault) return error.at(index, id, batchLine);
    throw error;
  }
}

function idOf(row: unknown): RowId | null {
  if (!isObject(row)) return null;
  if (isBatchLine(row)) return customIdOf(row);
  if (!Object.hasOwn(row, 'id') || row.id === null) return null;
  const { id } = row;
  if (typeof id === 'string') return id;
  if (typeof id !== 'number') throw invalid(`id is ${kindOf(id)}; it must be a string or a number`);
  if (!Number.isFinite(id) || (Number.isInteger(id) && !Number.isSafeInteger(id))) {
    throw invalid('id has more digits than a JSON number keeps; write it as a string');
  }
  return id;
}

function customIdOf({ custom_id: id }: BatchLine): string {
  if (typeof id === 'string') return id;
  throw invalid(`custom_id is ${kindOf(id)}; it must be a string`);
}

function inputsOf(row: unknown, specs: readonly TensorSpec[]): InputValue[] {
  const example = `{"inputs":{${specs.map(({ name }) => `${JSON.stringify(name)}:…`).join(',')}}}`;
  if (!isObject(row)) {
    if (specs.length === 1) return [{ path: 'row', value: row }];
    throw invalid(`the row is ${kindOf(row)}; this model takes ${example}`);
  }
  const { path, inputs } = isBatchLine(row) ? inBody(row, example) : inRow(row, example);
  if (!isObject(inputs)) {
    if (specs.length === 1) return [{ path, value: inputs }];
    throw invalid(`${path} is ${kindOf(inputs)}; this model takes ${example}`);
  }
  refuseUnknown(path, inputs, specs);
  return specs.map(({ name }) => {
    const member = memberPath(path, name);
    if (!Object.hasOwn(inputs, name)) throw invalid(`${member} is missing`);
    return { path: member, value: inputs[name] };
  });
}

function inRow(row: Record<string, unknown>, example: string): { path: string; inputs: unknown } {
  if (!Object.hasOwn(row, 'inputs')) throw invalid(`the row has no "inputs"; this model takes ${example}`);
  return { path: 'inputs', inputs: row.inputs };
}

/** OpenAI's own name is `input`. */
function inBody({ body }: BatchLine, example: string): { path: string; inputs: unknown } {
  if (!isObject(body)) {
    const problem = body === undefined ? 'the row has no "body"' : `body is ${kindOf(body)}`;
    throw invalid(`${problem}; this model takes ${example} there`);
  }
  const name = ['inputs', 'input'].find((key) => Object.hasOwn(body, key));
  if (name === undefined) throw invalid(`body has no "inputs"; this model takes ${example} there`);
  return { path: `body.${name}`, inputs: body[name] };
}

function refuseUnknown(path: string, inputs: Record<string, unknown>, specs: readonly TensorSpec[]): void {
  const names = specs.map(({ name }) => name);
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  const nearest = nearestName(unknown, names);
  const hint = nearest === null ? `the model has ${names.join(', ')}` : `did you mean ${nearest}?`;
  throw invalid(`${memberPath(path, unknown.slice(0, SHOWN))} is not an input of the model: ${hint}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !isList(value);
}

export function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
