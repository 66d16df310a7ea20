/** One JSON line as one row. */
import { isUtf8 } from 'node:buffer';
import type { TensorSpec } from '../../tensor.js';
import type { RowFailure } from '../source.js';
import { TOO_LONG } from './jsonl-lines.js';
import { invalid, type ObjectRow, readRow } from './object-row.js';

export function parseRow(
  line: Buffer | typeof TOO_LONG,
  index: number,
  specs: readonly TensorSpec[],
): ObjectRow | RowFailure {
  return readRow(() => parseJson(line), index, specs);
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

/** Messages end up on terminals: control characters of the row are shown, not sent. */
function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
