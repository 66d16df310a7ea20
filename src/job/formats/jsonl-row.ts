/** One JSON line as one row: its id, and the value of each model input. */
import { isUtf8 } from 'node:buffer';
import type { TensorSpec } from '../../tensor.js';
import { nearestName } from '../nearest-name.js';
import type { RowFailure, RowId } from '../source.js';
import { kindOf } from './json-element.js';
import { TOO_LONG } from './jsonl-lines.js';
import { memberPath, RowFault } from './row-fault.js';

export interface JsonlRow {
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

/** The row, or its failure; the id is told as soon as it can be read. Element values are looked at later. */
export function parseRow(
  line: Buffer | typeof TOO_LONG,
  index: number,
  specs: readonly TensorSpec[],
): JsonlRow | RowFailure {
  let id: RowId = index;
  try {
    const row = parseJson(line);
    id = idOf(row) ?? index;
    return { index, id, values: inputsOf(row, specs) };
  } catch (error) {
    if (error instanceof RowFault) return error.at(index, id);
    throw error;
  }
}

function parseJson(line: Buffer | typeof TOO_LONG): unknown {
  if (line === TOO_LONG) throw invalid('the line is longer than is read; split the row, or give it as NPY');
  if (!isUtf8(line)) throw invalid('the line is not UTF-8');
  const text = line.toString();
  try {
    return JSON.parse(text);
  } catch (error) {
    const named = withNamesQuoted(text);
    if (named !== undefined) return named;
    throw invalid(`the line is not JSON: ${visible((error as Error).message)}`);
  }
}

/** Python writes NaN and Infinity as bare words. As strings they parse, and where they stand for an element its path can be told. */
function withNamesQuoted(text: string): unknown {
  if (!/NaN|Infinity/.test(text)) return undefined;
  const quoted = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
    token.startsWith('"') ? token : `"${token}"`,
  );
  try {
    return JSON.parse(quoted);
  } catch {
    return undefined;
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
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string): RowFault {
  return new RowFault('TANDEM_ROW_INVALID', message);
}

/** Messages end up on terminals: control characters of the row are shown, not sent. */
function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
