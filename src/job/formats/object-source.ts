/** Rows in from objects: JSON lines, or values of the caller's own. Open dims are set by the first good row, so it is read ahead, and every row is held to it. */
import { TandemError } from '../../errors.js';
import type { Tensor, TensorSpec } from '../../tensor.js';
import type { RowFailure, RowId, RowsRead, Source } from '../source.js';
import { BatchIds } from './batch-ids.js';
import { clearRow } from './columns-source.js';
import { dimsOf, NestedList } from './nested-list.js';
import { invalid, type ObjectRow } from './object-row.js';
import { RowFault } from './row-fault.js';

export type Parsed = ObjectRow | RowFailure;

export interface ObjectOptions<T> {
  /** One for each row, in order. */
  readonly items: AsyncIterator<T>;
  readonly parse: (item: T, index: number, specs: readonly TensorSpec[]) => Parsed;
  /** Whether an item may be a line of an OpenAI batch file: then it is read even where its row is passed over. */
  readonly mayBeBatchLine: (item: T) => boolean;
  /** The model's inputs, rows' axis first. */
  readonly specs: readonly TensorSpec[];
  /** Names the input for people. */
  readonly where: string;
  /** Position of the first row to read; the dims are still those that the first good row of all has set. */
  readonly firstRow: number;
  readonly release: () => Promise<void>;
}

/** Failures in a row that are kept while the first good row is looked for; after so many the file is taken to be the wrong one. */
const MAX_AHEAD = 10_000;

export class ObjectSource<T> implements Source {
  readonly rows = null;
  #rowSpecs: readonly TensorSpec[] = [];
  readonly #options: ObjectOptions<T>;
  /** One for each input. */
  #lists: readonly NestedList[] = [];
  #ahead: Parsed[] = [];
  readonly #ids = new BatchIds();
  #next = 0;
  #closed = false;

  private constructor(options: ObjectOptions<T>) {
    this.#options = options;
  }

  /** Throws TANDEM_INPUT_EMPTY, and TANDEM_INPUT_INVALID where no row tells the dims that the model leaves open. */
  static async open<T>(options: ObjectOptions<T>): Promise<ObjectSource<T>> {
    const source = new ObjectSource(options);
    await source.#settle();
    await source.#skipTo(options.firstRow);
    return source;
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
      const failure = isFailure(parsed) ? parsed : this.#write(parsed, into, ids.length);
      if (failure) {
        failures.push(failure);
        for (const tensor of into) clearRow(tensor, ids.length);
      }
      if (parsed.batchLine) batchLines.add(ids.length);
      ids.push(parsed.id);
    }
    return { rows: ids.length, failures, ids, batchLines };
  }

  /** Does not wait for a read that hangs in a pipe: it ends when the stream is released. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#options.items.return?.().catch(() => {});
    await this.#options.release();
  }

  #write(row: ObjectRow, into: readonly Tensor[], place: number): RowFailure | null {
    const { values } = row;
    return attempt(row, () => {
      for (const [n, list] of this.#lists.entries()) {
        const { value, path } = values[n]!;
        list.write(value, path, into[n]!.data, place * list.elements);
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
    return invalid('its custom_id is that of an earlier row; every row needs one of its own').at(index, id, batchLine);
  }

  /** Rows before it are looked at only for what the later ones must know of them. */
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

  /** Read ahead until every dim is known: to the first good row, or just one row where the model leaves none open. */
  async #settle(): Promise<void> {
    const { specs } = this.#options;
    const isOpen = specs.some(({ shape }) => shape.slice(1).includes(null));
    if (!isOpen)
      this.#setDims(
        specs.map(({ shape }) => shape.slice(1) as number[]),
        0,
      );
    const failures: RowFailure[] = [];
    while (failures.length < MAX_AHEAD) {
      const row = await this.#take();
      if (row === null) break;
      const failure = isFailure(row) ? row : this.#settleOn(row);
      if (failure === null || !isOpen) {
        this.#ahead = [...failures, row];
        return;
      }
      failures.push(failure);
    }
    throw this.#noGoodRow(failures);
  }

  /** Take the open dims from `row`, which must be good by them itself. */
  #settleOn(row: ObjectRow): RowFailure | null {
    const { index, values } = row;
    const dims = this.#options.specs.map(({ shape }, n) => dimsOf(values[n]!.value, shape.slice(1)));
    this.#setDims(dims, index);
    return attempt(row, () => {
      for (const [n, list] of this.#lists.entries()) list.check(values[n]!.value, values[n]!.path);
    });
  }

  #setDims(dims: readonly (readonly number[])[], firstGoodRow: number): void {
    const rowSpecs = this.#options.specs.map((spec) => ({ ...spec, shape: spec.shape.slice(1) }));
    this.#lists = rowSpecs.map((spec, n) => new NestedList(spec, dims[n]!, firstGoodRow));
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
      { remedy: 'mend the rows: the first good one tells the sizes that the model leaves open' },
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

/** Lines also end when they are closed, and that must not look like the last row. */
function closedWhileReading(where: string): TandemError {
  return new TandemError('TANDEM_CLOSED', `${where} was closed while its rows were read`, {
    remedy: 'read all rows before closing the source',
  });
}
