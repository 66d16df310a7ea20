/** Rows of tensors from a table: a column for each input of the model, or all columns together where the model has one input. */
import type { Readable } from 'node:stream';
import { TandemError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import type { DType, TensorSpec } from '../tensor.js';
import { STANDARD_STREAM } from './format.js';
import { parseJson } from './json/bare-words.js';
import { type InputValue, invalid, type ObjectRow } from './json/object-row.js';
import { ObjectSource } from './json/object-source.js';
import { type Items, RaggedObjects } from './json/ragged-objects.js';
import { type Column, openRecords, type RecordSource, type RowRecord, type Value } from './record-source.js';
import { RowFault } from './row-fault.js';
import type { RowFailure, RowId, Source } from './source.js';

export interface RecordRowsOptions {
  readonly format?: string | undefined;
  readonly stdin?: Readable | undefined;
  readonly firstRow: number;
  readonly maxLineBytes: number;
  readonly allowNonFinite: boolean;
}

/** Rows that are read from the table at once. */
const AT_ONCE = 256;
/** The column that names a row. */
const ID = 'id';

/** Throws as `openRecords`, and TANDEM_INPUT_INVALID for a table without a column for an input. */
export async function openRecordRows(
  paths: readonly string[],
  specs: readonly TensorSpec[],
  options: RecordRowsOptions,
): Promise<Source> {
  const { items, release, names } = await openItems(paths, specs, options);
  return sourceOf({ items, release }, paths, specs, names, options);
}

async function sourceOf(
  { items, release }: Items<Item>,
  paths: readonly string[],
  specs: readonly TensorSpec[],
  names: Names,
  { firstRow, allowNonFinite }: RecordRowsOptions,
): Promise<Source> {
  try {
    return await ObjectSource.open({
      ...{ items, release, specs, firstRow, allowNonFinite },
      parse: (item: Item) => parse(item, names, specs),
      mayBeBatchLine: () => false,
      where: nameOf(paths),
    });
  } catch (error) {
    await release();
    throw error;
  }
}

/** A table whose rows may differ in length; inputs that can be made need no column. */
export interface RaggedTable {
  readonly ragged: RaggedObjects<Item>;
  /** The rest of a sampled stream, as rows of one shape. */
  readonly sameLength: () => Promise<Source>;
}

/** `specs` have the rows' axis first. A table from stdin is opened once, for a sample. Throws as `openRecordRows`. */
export async function openRaggedRecords(
  paths: readonly string[],
  specs: readonly TensorSpec[],
  options: RecordRowsOptions & Pick<RaggedOptions, 'padding' | 'made'>,
): Promise<RaggedTable> {
  const { firstRow, allowNonFinite, padding, made } = options;
  const optional = new Set(made.keys());
  // A stream cannot be opened again for its rows.
  let first: (Items<Item> & { names: Names }) | null = await openItems(paths, specs, options, optional);
  const { names } = first;
  if (paths[0] !== STANDARD_STREAM) await first.release();
  const open = async (): Promise<Items<Item>> => {
    const opened = paths[0] === STANDARD_STREAM ? first : null;
    first = null;
    return opened ?? openItems(paths, specs, options, optional);
  };
  const ragged = new RaggedObjects<Item>({
    ...{ open, firstRow, allowNonFinite, padding, made },
    specs: specs.map((spec) => ({ ...spec, shape: spec.shape.slice(1) })),
    parse: (item) => parse(item, names, specs),
    mayBeBatchLine: () => false,
  });
  return { ragged, sameLength: () => sourceOf(ragged.takeOver(), paths, specs, names, options) };
}

type RaggedOptions = ConstructorParameters<typeof RaggedObjects<Item>>[0];

/** For each input its column, the columns that are its values side by side, or `null` where it is made. */
type Names = readonly (string | readonly string[] | null)[];

/** The rows of all files from the first on, with the columns that the inputs need. */
async function openItems(
  paths: readonly string[],
  specs: readonly TensorSpec[],
  { format, stdin, maxLineBytes }: RecordRowsOptions,
  optional?: ReadonlySet<string>,
): Promise<Items<Item> & { readonly names: Names }> {
  const options = { format, maxRowBytes: maxLineBytes, ...(stdin && { stdin }) };
  let records = await openRecords(paths, options);
  try {
    const names = columnsFor(specs, records.columns!, nameOf(paths), optional);
    if (paths[0] !== STANDARD_STREAM) {
      const hasId = records.columns!.some(({ name }) => name === ID);
      const wanted = names.flatMap((name) => name ?? []);
      await records.close();
      records = await openRecords(paths, { ...options, columns: [...wanted, ...(hasId ? [ID] : [])] });
    }
    return { items: itemsOf(records), release: () => records.close(), names };
  } catch (error) {
    await records.close();
    throw error;
  }
}

/** A row that was read, or its failure. */
type Item = RowFailure | { readonly index: number; readonly id: RowId; readonly record: RowRecord };

async function* itemsOf(records: RecordSource): AsyncGenerator<Item> {
  for (let first = 0; ; ) {
    const read = await records.read(AT_ONCE);
    if (read.rows === 0) return;
    const failures = new Map(read.failures.map((failure) => [failure.index, failure]));
    let good = 0;
    for (let n = 0; n < read.rows; n++) {
      const index = first + n;
      yield failures.get(index) ?? { index, id: read.ids[n]!, record: read.records[good++]! };
    }
    first += read.rows;
  }
}

/** Those of `optional` need no column. */
function columnsFor(
  specs: readonly TensorSpec[],
  columns: readonly Column[],
  where: string,
  optional: ReadonlySet<string> = new Set(),
): Names {
  const names = columns.map(({ name }) => name);
  const missing = specs.find(({ name }) => !names.includes(name) && !optional.has(name));
  if (!missing) return specs.map(({ name }) => (names.includes(name) ? name : null));
  const [only] = specs;
  if (specs.length === 1 && only!.shape.length === 2) {
    const width = only!.shape[1];
    const values = names.filter((name) => name !== ID);
    for (const wide of [names, values]) if (wide.length === width) return [wide];
    if (width === null && values.length > 0 && !columns.some(isText)) return [values];
  }
  const nearest = nearestName(missing.name, names);
  throw new TandemError('TANDEM_INPUT_INVALID', `${where} has no column "${missing.name}", which the model takes`, {
    remedy: `${nearest === null ? '' : `is it ${nearest}? `}name the columns like the model's inputs: ${specs.map(({ name }) => name).join(', ')}`,
  });
}

function isText({ type }: Column): boolean {
  return type === 'string' || type === 'binary';
}

function parse(item: Item, names: Names, specs: readonly TensorSpec[]): ObjectRow | RowFailure {
  if ('code' in item) return item;
  const { index, id, record } = item;
  try {
    const values = names.map((name, n) => {
      const { dtype } = specs[n]!;
      if (name === null) return { path: specs[n]!.name, value: undefined };
      if (typeof name === 'string') return inputOf(name, record[name], dtype);
      return { path: specs[n]!.name, value: name.map((one) => inputOf(one, record[one], dtype).value) };
    });
    return { index, id, values, batchLine: false };
  } catch (error) {
    if (error instanceof RowFault) return error.at(index, id);
    throw error;
  }
}

function inputOf(path: string, value: Value, dtype: DType): InputValue {
  if (typeof value === 'string') return { path, value: fromText(path, value.trim(), dtype) };
  return { path, value: dtype.includes('float') ? withoutBigInts(value) : (value ?? null) };
}

/** Whole numbers of 64 bits as numbers, where a float of the model is to hold them anyway. */
function withoutBigInts(value: Value): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof BigInt64Array || value instanceof BigUint64Array) return Array.from(value, Number);
  return Array.isArray(value) ? value.map(withoutBigInts) : (value ?? null);
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** As NumPy and pandas write them, and JSON. */
const WORDS: ReadonlyMap<string, string | boolean> = new Map<string, string | boolean>([
  ['nan', 'NaN'],
  ['inf', 'Infinity'],
  ['+inf', 'Infinity'],
  ['-inf', '-Infinity'],
  ['infinity', 'Infinity'],
  ['-infinity', '-Infinity'],
]);

/** A number, a word for one, or lists of numbers in JSON. */
function fromText(path: string, text: string, dtype: DType): unknown {
  if (text === '') return null;
  if (text.startsWith('[')) {
    try {
      return parseJson(text);
    } catch {
      throw invalid(`${path} begins with [, and is no list in JSON`);
    }
  }
  if (dtype === 'bool') return /^(?:true|1)$/i.test(text) ? true : /^(?:false|0)$/i.test(text) ? false : text;
  if (NUMBER.test(text))
    return dtype.endsWith('int64') && /^[+-]?\d+$/.test(text) ? text.replace(/^\+/, '') : Number(text);
  return WORDS.get(text.toLowerCase()) ?? text;
}

function nameOf(paths: readonly string[]): string {
  const first = paths[0] === STANDARD_STREAM ? 'stdin' : paths[0]!;
  return paths.length === 1 ? first : `${first} and ${paths.length - 1} more`;
}
