/** A source of rows from objects: JSON lines, or values of the caller's program. The first good row sets the open dims; every later row must match. */
import { TandemError } from '../../errors.js';
import type { Tensor, TensorSpec } from '../../tensor.js';
import { RowFault } from '../row-fault.js';
import type { RowFailure, RowId, RowsRead, Source } from '../source.js';
import { BatchIds } from './batch-ids.js';
import { dimsOf, NestedList, nestedDims } from './nested-list.js';
import { invalid, type ObjectRow } from './object-row.js';
import type { Items } from './ragged-objects.js';

export type Parsed = ObjectRow | RowFailure;

export interface ObjectOptions<T> {
  /** One for each row, in order. */
  readonly items: AsyncIterator<T>;
  readonly parse: (item: T, index: number, specs: readonly TensorSpec[]) => Parsed;
  /** Whether an item may be a line of an OpenAI batch file. Such an item is parsed even if its row is skipped. */
  readonly mayBeBatchLine: (item: T) => boolean;
  /** The model's inputs, with the rows' axis first. */
  readonly specs: readonly TensorSpec[];
  /** The name of the input in messages. */
  readonly where: string;
  /** Position of the first row to read. The first good row of the whole input still sets the open dims. */
  readonly firstRow: number;
  /** Accept rows with NaN or infinities. */
  readonly allowNonFinite: boolean;
  readonly release: () => Promise<void>;
  /** The items from the row `row` on, which is at or before `firstRow`, without those before it. */
  readonly jump?: { readonly row: number; readonly open: () => Promise<Items<T>> };
  /** An estimate of the number of rows. */
  readonly rowsAbout?: number | null;
}

/** Empty rows that are read while looking for a row whose open dims are not 0: one empty list at the start must not fail all other rows. */
const MAX_EMPTY = 16;
/** Consecutive failures that are kept while the first good row is searched. After that many the input is refused. */
const MAX_AHEAD = 10_000;

export class ObjectSource<T> implements Source {
  readonly rows = null;
  #rowSpecs: readonly TensorSpec[] = [];
  #options: ObjectOptions<T>;
  /** One for each input. */
  #lists: readonly NestedList[] = [];
  #ahead: Parsed[] = [];
  readonly #ids = new BatchIds();
  #next = 0;
  #closed = false;

  private constructor(options: ObjectOptions<T>) {
    this.#options = options;
  }

  /** Throws TANDEM_INPUT_EMPTY, and TANDEM_INPUT_INVALID if no row determines the open dims of the model. */
  static async open<T>(options: ObjectOptions<T>): Promise<ObjectSource<T>> {
    const source = new ObjectSource(options);
    await source.#readAhead();
    await source.#jump();
    await source.#skipTo(options.firstRow);
    return source;
  }

  get rowsAbout(): number | null {
    return this.#options.rowsAbout ?? null;
  }

  get rowSpecs(): readonly TensorSpec[] {
    return this.#rowSpecs;
  }

  async read(into: readonly Tensor[]): Promise<RowsRead> {
    const capacity = into[0]!.shape[0]!;
    const failures: RowFailure[] = [];
    const ids: RowId[] = [];
    const batchLines = new Set<number>();
    while (ids.length < capacity) {
      const parsed = await this.#take();
      if (parsed === null) break;
      const position = ids.length - failures.length;
      const failure = isFailure(parsed) ? parsed : this.#write(parsed, into, position);
      if (failure) failures.push(failure);
      if (parsed.batchLine) batchLines.add(ids.length);
      ids.push(isFailure(parsed) ? parsed.index : parsed.id);
    }
    return { rows: ids.length, failures, ids, batchLines };
  }

  /** Does not wait for a read that blocks on a pipe: it ends when the stream is released. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#options.items.return?.().catch(() => {});
    await this.#options.release();
  }

  #write(row: ObjectRow, into: readonly Tensor[], position: number): RowFailure | null {
    const { values } = row;
    return attempt(row, () => {
      for (const [n, list] of this.#lists.entries()) {
        const { value, path } = values[n]!;
        list.write(value, path, into[n]!.data, position * list.elements);
      }
    });
  }

  async #take(): Promise<Parsed | null> {
    const ahead = this.#ahead.shift();
    if (ahead) return ahead;
    const { items } = this.#options;
    const { value: item, done } = await items.next();
    if (!done) return this.#parse(item);
    if (this.#closed) throw closedWhileReading(this.#options.where);
    return null;
  }

  #parse(item: T): Parsed {
    const { parse, specs } = this.#options;
    const parsed = parse(item, this.#next++, specs);
    const { index, id, batchLine } = parsed;
    if (!batchLine || typeof id !== 'string' || this.#ids.add(id)) return parsed;
    return invalid('an earlier row has the same custom_id; every row needs a different one').at(index, id, batchLine);
  }

  /** The rows that were read ahead have set the dims. */
  async #jump(): Promise<void> {
    const { jump, items, release } = this.#options;
    if (!jump || jump.row <= this.#next) return;
    items.return?.().catch(() => {});
    await release();
    this.#options = { ...this.#options, ...(await jump.open()) };
    this.#ahead = [];
    this.#next = jump.row;
  }

  /** Skips rows. Only batch lines among them are parsed, to remember their ids. */
  async #skipTo(firstRow: number): Promise<void> {
    const { items, mayBeBatchLine } = this.#options;
    this.#ahead = this.#ahead.filter(({ index }) => index >= firstRow);
    while (this.#next < firstRow) {
      const { value: item, done } = await items.next();
      if (done) return;
      if (mayBeBatchLine(item)) this.#parse(item);
      else this.#next += 1;
    }
  }

  /** Reads ahead until every dim is known: up to the first good row, or one row if the model has no open dims. */
  async #readAhead(): Promise<void> {
    const { specs } = this.#options;
    if (specs.every(({ shape, openRank }) => !openRank && !shape.slice(1).includes(null))) {
      this.#setDims(
        specs.map(({ shape }) => shape.slice(1) as number[]),
        0,
      );
      const row = await this.#take();
      if (row === null) throw this.#noGoodRow([]);
      this.#ahead = [row];
      return;
    }
    const ahead: Parsed[] = [];
    const failures: RowFailure[] = [];
    const empty: ObjectRow[] = [];
    while (failures.length < MAX_AHEAD && empty.length < MAX_EMPTY) {
      const row = await this.#take();
      if (row === null) break;
      const failure = isFailure(row) ? row : this.#setDimsFrom(row);
      ahead.push(failure ?? row);
      if (failure) failures.push(failure);
      else if (!this.#isEmpty()) break;
      else empty.push(row as ObjectRow);
    }
    if (ahead.length === failures.length) throw this.#noGoodRow(failures);
    if (ahead.length === failures.length + empty.length) this.#setDimsFrom(empty[0]!);
    this.#ahead = ahead;
  }

  /** Whether an open dim of the model is 0. */
  #isEmpty(): boolean {
    const { specs } = this.#options;
    return this.#rowSpecs.some(({ shape }, n) =>
      shape.some((dim, axis) => dim === 0 && (specs[n]!.openRank || specs[n]!.shape[axis + 1] === null)),
    );
  }

  /** Takes the open dims from `row`, and checks that the row fits them. */
  #setDimsFrom(row: ObjectRow): RowFailure | null {
    const { index, values } = row;
    return attempt(row, () => {
      const dims = this.#options.specs.map(({ shape, openRank }, n) => {
        const { value, path } = values[n]!;
        return openRank ? nestedDims(value) : dimsOf(value, shape.slice(1), path);
      });
      this.#setDims(dims, index);
      for (const [n, list] of this.#lists.entries()) list.check(values[n]!.value, values[n]!.path);
    });
  }

  #setDims(dims: readonly (readonly number[])[], firstGoodRow: number): void {
    const { specs, allowNonFinite } = this.#options;
    const rowSpecs = specs.map(({ name, dtype, shape, openRank }, n) => ({
      ...{ name, dtype },
      shape: openRank ? dims[n]!.map(() => null) : shape.slice(1),
    }));
    this.#lists = rowSpecs.map((spec, n) => new NestedList(spec, dims[n]!, { firstGoodRow, allowNonFinite }));
    this.#rowSpecs = rowSpecs.map((spec, n) => ({ ...spec, shape: dims[n]! }));
  }

  #noGoodRow(failures: readonly RowFailure[]): TandemError {
    const { where } = this.#options;
    const [first] = failures;
    if (!first) {
      return new TandemError('TANDEM_INPUT_EMPTY', `${where} has no rows`, {
        remedy: 'give at least one row',
      });
    }
    return new TandemError(
      'TANDEM_INPUT_INVALID',
      `${where} has no usable row among the first ${failures.length}; row ${first.index}: ${first.message}`,
      { remedy: 'correct the rows: the first good row sets the sizes that the model leaves open' },
    );
  }
}

function isFailure(parsed: Parsed): parsed is RowFailure {
  return 'code' in parsed;
}

function attempt({ index, id, batchLine }: ObjectRow, fill: () => void): RowFailure | null {
  try {
    fill();
    return null;
  } catch (error) {
    if (error instanceof RowFault) return error.at(index, id, batchLine);
    throw error;
  }
}

/** The lines also end when the source is closed. That must not look like the end of the input. */
function closedWhileReading(where: string): TandemError {
  return new TandemError('TANDEM_CLOSED', `${where} was closed while its rows were read`, {
    remedy: 'read all rows before closing the source',
  });
}
