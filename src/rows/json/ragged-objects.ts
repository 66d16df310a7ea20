/** A ragged source of rows from objects, such as JSON lines: each row has the lengths of its own lists. */
import { allocate, elementCount, type Tensor, type TensorSpec } from '../../tensor.js';
import { type Made, makeInput } from '../made-inputs.js';
import type { LengthSurvey, RaggedRead, RaggedRow, RaggedSource } from '../ragged-source.js';
import { RowFault } from '../row-fault.js';
import type { RowFailure, RowId } from '../source.js';
import { BatchIds } from './batch-ids.js';
import { dimsOf, NestedList } from './nested-list.js';
import { type InputValue, invalid, type ObjectRow } from './object-row.js';

/** The items of the input from its beginning, and how they are let go. */
export interface Items<T> {
  readonly items: AsyncIterator<T>;
  readonly release: () => Promise<void>;
}

export interface RaggedObjectsOptions<T> {
  /** Called for each survey and once for the rows; once in all for an input that is sampled. */
  readonly open: () => Promise<Items<T>>;
  /** The items from the row `row` on, which is at or before `firstRow`, without those before it. */
  readonly jump?: { readonly row: number; readonly open: () => Promise<Items<T>> };
  readonly parse: (item: T, index: number) => ObjectRow | RowFailure;
  /** A copy of an item that outlives the next ones; default the item itself. */
  readonly keep?: (item: T) => T;
  /** Whether an item may be a line of an OpenAI batch file. Such an item is parsed even if its row is skipped. */
  readonly mayBeBatchLine: (item: T) => boolean;
  /** The shape of one row for each fed input; `null` dimensions are ragged. */
  readonly specs: readonly TensorSpec[];
  readonly padding: readonly number[] | null;
  /** By name, how inputs are made that a row does not give. */
  readonly made: ReadonlyMap<string, Made>;
  /** Position of the first row to read. */
  readonly firstRow: number;
  readonly allowNonFinite: boolean;
}

/** A survey of the whole input. */
export interface ObjectsSurvey extends LengthSurvey {
  /** Whether inputs are made for any of the rows. */
  readonly makes: boolean;
  /** Rows that were looked at, refused ones included. */
  readonly rows: number;
}

/** What a sample looks at, at most: rows, and elements of their tensors. */
const SAMPLE = { rows: 1024, elements: 8 << 20 };

export class RaggedObjects<T> implements RaggedSource {
  #rows: number | null = null;
  readonly #options: RaggedObjectsOptions<T>;
  readonly #ids = new BatchIds();
  #opened: Items<T> | undefined;
  #next = 0;

  constructor(options: RaggedObjectsOptions<T>) {
    this.#options = options;
  }

  /** Known after a survey. */
  get rows(): number | null {
    return this.#rows;
  }

  get specs(): readonly TensorSpec[] {
    return this.#options.specs;
  }

  get padding(): readonly number[] | null {
    return this.#options.padding;
  }

  async survey(): Promise<ObjectsSurvey> {
    const { items, release } = await this.#options.open();
    try {
      const survey = await this.#look(items);
      this.#rows = survey.rows;
      return survey;
    } finally {
      await release();
    }
  }

  /** Looks at the first rows of an input that can be read only once; they are kept for `read`, or for who takes over. */
  async sample(rows = SAMPLE.rows): Promise<ObjectsSurvey> {
    const { items, release } = await this.#options.open();
    this.#opened = { items, release };
    const first: T[] = [];
    const survey = await this.#look(items, { first, rows });
    this.#opened = { items: afterFirst(first, items), release };
    if (survey.isWhole) this.#rows = survey.rows;
    return survey;
  }

  /** The items of a sampled input, which somebody else reads and releases from now on. */
  takeOver(): Items<T> {
    const opened = this.#opened!;
    this.#opened = undefined;
    return opened;
  }

  /** At all items; or at those of a sample, at most `rows`, which are put into `first`. */
  async #look(
    items: AsyncIterator<T>,
    sample?: { readonly first: T[]; readonly rows: number },
  ): Promise<ObjectsSurvey> {
    const { parse, specs, keep = (item: T) => item } = this.#options;
    const lengths = new Map<number, number>();
    const largest = specs.map(({ shape }) => shape.map((dim) => dim ?? 0));
    let [makes, rows, elements] = [false, 0, 0];
    while (!sample || (rows < sample.rows && elements < SAMPLE.elements)) {
      const next = await items.next();
      if (next.done) return { ...{ lengths, largest, makes, rows }, isWhole: true, limit: null, cut: 0 };
      sample?.first.push(keep(next.value));
      const shapes = this.#shapesOf(parse(next.value, rows++));
      if (!shapes) continue;
      makes ||= shapes.makes;
      lengths.set(shapes.length, (lengths.get(shapes.length) ?? 0) + 1);
      for (const [n, dims] of shapes.dims.entries()) {
        for (const [axis, dim] of dims.entries()) largest[n]![axis] = Math.max(largest[n]![axis]!, dim);
        elements += elementCount(dims);
      }
    }
    return { ...{ lengths, largest, makes, rows }, isWhole: false, limit: null, cut: 0 };
  }

  async read(rows: number): Promise<RaggedRead> {
    const good: RaggedRow[] = [];
    const failures: RowFailure[] = [];
    const ids: RowId[] = [];
    const batchLines = new Set<number>();
    while (ids.length < rows) {
      const parsed = await this.#take();
      if (parsed === null) break;
      const row = isFailure(parsed) ? parsed : this.#rowOf(parsed);
      if (isFailure(row)) failures.push(row);
      else good.push(row);
      if (parsed.batchLine) batchLines.add(ids.length);
      ids.push(isFailure(parsed) ? parsed.index : parsed.id);
    }
    return { rows: ids.length, good, failures, ids, batchLines };
  }

  async close(): Promise<void> {
    this.#opened?.items.return?.().catch(() => {});
    await this.#opened?.release();
  }

  async #take(): Promise<ObjectRow | RowFailure | null> {
    const { open, jump, mayBeBatchLine, firstRow } = this.#options;
    if (!this.#opened) {
      this.#opened = await (jump ?? { open }).open();
      this.#next = jump?.row ?? 0;
      while (this.#next < firstRow) {
        const { value, done } = await this.#opened.items.next();
        if (done) return null;
        if (mayBeBatchLine(value)) this.#parse(value);
        else this.#next += 1;
      }
    }
    const { value, done } = await this.#opened.items.next();
    return done ? null : this.#parse(value);
  }

  #parse(item: T): ObjectRow | RowFailure {
    const parsed = this.#options.parse(item, this.#next++);
    const { index, id, batchLine } = parsed;
    if (!batchLine || typeof id !== 'string' || this.#ids.add(id)) return parsed;
    return invalid('an earlier row has the same custom_id; every row needs a different one').at(index, id, batchLine);
  }

  /** The dims of each input; `null` for a row that is refused. */
  #shapesOf(
    row: ObjectRow | RowFailure,
  ): { dims: readonly (readonly number[])[]; length: number; makes: boolean } | null {
    if (isFailure(row)) return null;
    try {
      const { dims, length } = this.#dimsOf(row.values);
      return { dims, length, makes: row.values.some(({ value }) => value === undefined) };
    } catch (error) {
      if (error instanceof RowFault) return null;
      throw error;
    }
  }

  #rowOf({ index, id, batchLine, values }: ObjectRow): RaggedRow | RowFailure {
    const { specs, made, allowNonFinite } = this.#options;
    try {
      const { dims, length } = this.#dimsOf(values);
      const tensors = specs.map((spec, n): Tensor => {
        const { value, path } = values[n]!;
        if (value === undefined) return makeInput(spec, made.get(spec.name)!, length);
        const data = allocate(spec.dtype, dims[n]!);
        new NestedList(spec, dims[n]!, { firstGoodRow: index, allowNonFinite }).write(value, path, data, 0);
        return { dtype: spec.dtype, shape: dims[n]!, data };
      });
      return { index, tensors };
    } catch (error) {
      if (error instanceof RowFault) return error.at(index, id, batchLine);
      throw error;
    }
  }

  /** Throws RowFault if inputs are padded and not all of them are equally long. */
  #dimsOf(values: readonly InputValue[]): { dims: number[][]; length: number } {
    const { specs, padding } = this.#options;
    const given = specs.map(({ shape }, n) => {
      const { value, path } = values[n]!;
      return value === undefined ? null : dimsOf(value, shape, path);
    });
    const ragged = given.flatMap((dims, n) => {
      const open = dims?.filter((_, axis) => specs[n]!.shape[axis] === null) ?? [];
      return open.map((dim) => ({ dim, path: values[n]!.path }));
    });
    const [first] = ragged;
    const other = ragged.find(({ dim }) => dim !== first!.dim);
    if (padding && other) {
      const message = `${other.path} has a length of ${other.dim} where ${first!.dim} belong, the length of ${first!.path}`;
      throw new RowFault('TANDEM_ROW_SHAPE', message);
    }
    const length = Math.max(0, ...ragged.map(({ dim }) => dim));
    if (padding && length === 0) throw new RowFault('TANDEM_ROW_SHAPE', `${first!.path} is an empty list`);
    return { dims: given.map((dims) => dims ?? [length]), length };
  }
}

async function* afterFirst<T>(first: T[], others: AsyncIterator<T>): AsyncGenerator<T, void, undefined> {
  while (first.length > 0) yield first.shift()!;
  for (let next = await others.next(); !next.done; next = await others.next()) yield next.value;
}

function isFailure(row: ObjectRow | RowFailure | RaggedRow): row is RowFailure {
  return 'code' in row;
}
