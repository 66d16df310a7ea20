/** Looks through JSON lines for the columns that are kept of them, so that a table can be written: all rows of a column have one type. */
import { TandemError } from '../../errors.js';
import { ALL_COLUMNS } from '../kept-columns.js';
import type { Column, Value } from '../record.js';
import { openRecords } from '../record-source.js';

/** A column whose values have several types, or are objects, is text: strings as they are, everything else as JSON. */
export const JSON_TEXT = 'json';

/** Rows that are read at once. */
const AT_ONCE = 1024;
/** More than any table has. */
const MAX_COLUMNS = 1 << 17;

/** Reads all files once. Throws what `openRecords` throws. */
export async function jsonColumns(paths: readonly string[], keep: readonly string[]): Promise<readonly Column[]> {
  const all = keep.includes(ALL_COLUMNS);
  const types = new Map<string, string | null>(all ? [] : keep.map((name) => [name, null]));
  const records = await openRecords(paths, { format: 'jsonl', ...(all ? {} : { columns: keep }) });
  try {
    for (;;) {
      const read = await records.read(AT_ONCE);
      if (read.rows === 0) break;
      for (const record of read.records) {
        for (const name of Object.keys(record)) types.set(name, joined(types.get(name) ?? null, typeOf(record[name])));
      }
      if (types.size > MAX_COLUMNS) throw tooMany(types.size);
    }
  } finally {
    await records.close();
  }
  return [...types].map(([name, type]) => ({ name, type: type === 'list<>' ? 'list<string>' : (type ?? 'string') }));
}

/** `null` for no value, which fits every type. */
function typeOf(value: Value): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0) ? 'int64' : 'float64';
  if (!Array.isArray(value)) return JSON_TEXT;
  const inner = value.reduce<string | null>((type, one) => joined(type, typeOf(one)), null);
  return inner === JSON_TEXT || inner?.startsWith('list') ? JSON_TEXT : `list<${inner ?? ''}>`;
}

function joined(a: string | null, b: string | null): string | null {
  if (a === null || b === null || a === b) return a ?? b;
  if (isNumber(a) && isNumber(b)) return 'float64';
  const [listA, listB] = [elementOf(a), elementOf(b)];
  if (listA === null || listB === null) return JSON_TEXT;
  const inner = joined(listA || null, listB || null);
  return inner === JSON_TEXT ? JSON_TEXT : `list<${inner ?? ''}>`;
}

function elementOf(type: string): string | null {
  return /^list<(.*)>$/.exec(type)?.[1] ?? null;
}

function isNumber(type: string): boolean {
  return type === 'int64' || type === 'float64';
}

function tooMany(count: number): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `the rows have ${count} different members, which are no columns`, {
    remedy: 'name the columns that are kept: --keep a,b; or write JSON lines',
  });
}
