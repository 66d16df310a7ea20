/** Reads one object as one row: its id and the value of each model input. */

import { nearestName } from '../../nearest-name.js';
import type { TensorSpec } from '../../tensor.js';
import { memberPath, RowFault } from '../row-fault.js';
import type { GivenId, RowFailure, RowId } from '../source.js';
import { type BatchLine, isBatchLine } from './batch-line.js';
import { kindOf } from './json-element.js';
import { isList } from './nested-list.js';

export interface ObjectRow {
  readonly index: number;
  readonly id: RowId;
  /** One for each model input, in its order. */
  readonly values: readonly InputValue[];
  /** Whether the row is a line of an OpenAI batch file. */
  readonly batchLine: boolean;
}

export interface InputValue {
  /** Its name in messages: `inputs.image`. */
  readonly path: string;
  readonly value: unknown;
}

export interface ReadOptions {
  /** The original digits of a numeric id. */
  readonly digitsOfId?: () => string | undefined;
  /** Inputs that the row may leave out: their value is then `undefined`. */
  readonly optional?: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

/** Characters of an unknown input name that a message shows. */
const SHOWN = 40;
/** Characters of an invalid id that a failure repeats. */
const LONGEST_ID = 1024;

/**
 * The row that `find` returns, or its failure, which has the row's id if it could be read. Element values are checked later.
 * A row is `{ id?, inputs: { name: value } }`, or the value itself if the model has one input, or a line of an OpenAI batch
 * file whose body holds `inputs` or `input`.
 */
export function readRow(
  find: () => unknown,
  index: number,
  specs: readonly TensorSpec[],
  { digitsOfId, optional = NONE }: ReadOptions = {},
): ObjectRow | RowFailure {
  const use = (row: unknown, id: RowId, batchLine: boolean) => {
    const values = inputsOf(row, specs, optional);
    return { index, id, values, batchLine };
  };
  return readIdentified(find, index, use, digitsOfId);
}

/** What `use` makes of the row that `find` returns and of its id, or the row's failure: both may throw RowFault. */
export function readIdentified<T>(
  find: () => unknown,
  index: number,
  use: (row: unknown, id: RowId, batchLine: boolean) => T,
  digitsOfId?: () => string | undefined,
): T | RowFailure {
  let reportedId: GivenId = index;
  let batchLine = false;
  try {
    const row = find();
    batchLine = isObject(row) && isBatchLine(row);
    const given = givenId(row);
    if (given !== undefined) reportedId = repeatable(given, digitsOfId);
    const id = given === undefined ? index : checkId(given, batchLine);
    return use(row, id, batchLine);
  } catch (error) {
    if (error instanceof RowFault) return error.at(index, reportedId, batchLine);
    throw error;
  }
}

/** The row's id, or `undefined` if it has none. A null `id` counts as none; a null `custom_id` does not. */
function givenId(row: unknown): unknown {
  if (!isObject(row)) return undefined;
  if (isBatchLine(row)) return row.custom_id;
  return Object.hasOwn(row, 'id') ? (row.id ?? undefined) : undefined;
}

/** The id in a form that JSON can repeat. A long value is cut and becomes text. */
function repeatable(given: unknown, digits?: () => string | undefined): GivenId {
  if (typeof given === 'number' && !isKept(given)) return digits?.() ?? String(given);
  if (typeof given === 'string' || typeof given === 'number') return given;
  if (typeof given === 'boolean' || given === null) return given;
  if (typeof given !== 'object') return String(given).slice(0, LONGEST_ID);
  try {
    const text = JSON.stringify(given);
    return text.length <= LONGEST_ID ? given : `${text.slice(0, LONGEST_ID)}…`;
  } catch {
    // A value from a program, such as a circular object, that JSON cannot write.
    return 'an object';
  }
}

function checkId(given: unknown, batchLine: boolean): RowId {
  if (typeof given === 'string') return given;
  if (batchLine) throw invalid(`custom_id is ${kindOf(given)}; it must be a string`);
  if (typeof given !== 'number') throw invalid(`id is ${kindOf(given)}; it must be a string or a number`);
  if (!isKept(given)) throw invalid('id has more digits than a JSON number keeps; write it as a string');
  return given;
}

/** Whether a JSON number keeps all digits of its text. */
function isKept(value: number): boolean {
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
}

/** One for each of `all`; those that are not in `optional` must be given. For each row, so it makes no more objects than it returns. */
function inputsOf(row: unknown, all: readonly TensorSpec[], optional: ReadonlySet<string>): InputValue[] {
  const required = optional.size === 0 ? all : all.filter(({ name }) => !optional.has(name));
  const alone = (path: string, value: unknown) =>
    all.map((spec) => (spec === required[0] ? { path, value } : { path: spec.name, value: undefined }));
  if (!isObject(row)) {
    if (required.length === 1) return alone('row', row);
    throw invalid(`the row is ${kindOf(row)}; this model takes ${exampleOf(required)}`);
  }
  const { path, inputs } = isBatchLine(row) ? inBody(row, required) : inRow(row, required);
  if (!isObject(inputs)) {
    if (required.length === 1) return alone(path, inputs);
    throw invalid(`${path} is ${kindOf(inputs)}; this model takes ${exampleOf(required)}`);
  }
  refuseUnknown(path, inputs, all);
  const missing = required.find(({ name }) => !Object.hasOwn(inputs, name));
  if (missing) throw invalid(`${memberPath(path, missing.name)} is missing`);
  return all.map(({ name }) =>
    Object.hasOwn(inputs, name)
      ? { path: memberPath(path, name), value: inputs[name] }
      : { path: name, value: undefined },
  );
}

function exampleOf(specs: readonly TensorSpec[]): string {
  return `{"inputs":{${specs.map(({ name }) => `${JSON.stringify(name)}:…`).join(',')}}}`;
}

function inRow(row: Record<string, unknown>, specs: readonly TensorSpec[]): { path: string; inputs: unknown } {
  if (!Object.hasOwn(row, 'inputs')) {
    throw invalid(`the row has no "inputs"; this model takes ${exampleOf(specs)}${howToWrap(row, specs)}`);
  }
  return { path: 'inputs', inputs: row.inputs };
}

/** The jq command for rows that hold the inputs at the top level. */
function howToWrap(row: Record<string, unknown>, specs: readonly TensorSpec[]): string {
  const names = specs.map(({ name }) => name);
  if (!names.every((name) => Object.hasOwn(row, name))) return '';
  const members = names.map((name) =>
    /^[A-Za-z_]\w*$/.test(name) ? name : `${JSON.stringify(name)}: .[${JSON.stringify(name)}]`,
  );
  const id = Object.hasOwn(row, 'id') && !names.includes('id') ? 'id, ' : '';
  return `: jq -c '{${id}inputs: {${members.join(', ')}}}' FILE > rows.jsonl`;
}

/** OpenAI's own name is `input`. */
function inBody({ body }: BatchLine, specs: readonly TensorSpec[]): { path: string; inputs: unknown } {
  if (!isObject(body)) {
    const problem = body === undefined ? 'the row has no "body"' : `body is ${kindOf(body)}`;
    throw invalid(`${problem}; this model takes ${exampleOf(specs)} there`);
  }
  const name = ['inputs', 'input'].find((key) => Object.hasOwn(body, key));
  if (name === undefined) throw invalid(`body has no "inputs"; this model takes ${exampleOf(specs)} there`);
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

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !isList(value);
}

export function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}
