/** Parses one JSON line as one row. */
import { isUtf8 } from 'node:buffer';
import type { TensorSpec } from '../../tensor.js';
import type { RowFailure } from '../source.js';
import { parseJson } from './bare-words.js';
import { TOO_LONG } from './jsonl-lines.js';
import { invalid, type ObjectRow, readRow } from './object-row.js';

export function parseRow(
  line: Buffer | typeof TOO_LONG,
  index: number,
  specs: readonly TensorSpec[],
  optional?: ReadonlySet<string>,
): ObjectRow | RowFailure {
  const options = { digitsOfId: () => digitsOfId(line), ...(optional ? { optional } : {}) };
  return readRow(() => parseLine(line), index, specs, options);
}

/** The digits of the number after `id` or `custom_id`, if there is exactly one. Parsing has rounded its value. */
export function digitsOfId(line: Buffer | typeof TOO_LONG): string | undefined {
  const found = [...line.toString().matchAll(/"(?:custom_)?id"\s*:\s*(-?\d[\d.eE+-]*)/g)];
  return found.length === 1 ? found[0]![1]!.slice(0, 1024) : undefined;
}

export function parseLine(line: Buffer | typeof TOO_LONG): unknown {
  if (line === TOO_LONG) throw invalid('the line is longer than the limit; split the row, or give it as NPY');
  if (!isUtf8(line)) throw invalid('the line is not UTF-8');
  const text = line.toString();
  try {
    return parseJson(text);
  } catch (error) {
    throw invalid(`the line is not JSON: ${visible((error as Error).message)}`);
  }
}

/** Escapes control characters of the row, because messages are printed on terminals. */
function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
