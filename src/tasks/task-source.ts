/** The rows of a task: records of the input, prepared in workers ahead of the stages, in input order. */

import { createHash } from 'node:crypto';
import type { Preparing } from '../rows/preparing.js';
import type { LengthSurvey, RaggedRow, RaggedSource } from '../rows/ragged-source.js';
import type { RecordSource, RowRecord } from '../rows/record-source.js';
import { RowFault } from '../rows/row-fault.js';
import type { RowFailure, RowId } from '../rows/source.js';
import { bytesOf, bytesPerElement, type Tensor, type TensorSpec } from '../tensor.js';
import { Ahead, type Begun } from './ahead.js';
import { preparingOf } from './preparing-of-pool.js';
import { RowsPool } from './rows-pool.js';
import { type Prepared, type PreparedRow, type RecordRows, type Task, type TaskRead, TEXTS_CUT } from './task.js';

export interface TaskSourceOptions {
  readonly records: RecordSource;
  readonly task: Task;
  /** Threads that prepare rows. */
  readonly threads: number;
  /** Position of the first row that `records` reads. */
  readonly firstRow?: number;
  /** Compute a row of the model once that comes several times in one read. */
  readonly dedupe?: boolean | undefined;
}

/** Rows that are prepared ahead: the next window is ready when the stages have finished this one. */
const ROWS_AHEAD = 2048;
/** Bytes of tensors that are prepared ahead, about. */
const BYTES_AHEAD = 64 << 20;
/** Rows that a survey looks at; they are kept and not prepared again. */
const SURVEYED = 2048;

/** Calls of a worker that are timed, where no survey has timed more. */
const MEASURED = 8;

/** One row of the input. */
interface Entry {
  readonly index: number;
  readonly id: RowId;
  readonly record: RowRecord | null;
  readonly batchLine: boolean;
  readonly row: PreparedRow | RowFailure;
}

export class TaskSource implements RaggedSource {
  readonly #options: TaskSourceOptions;
  readonly #pool: RowsPool;
  readonly #ahead: Ahead<readonly Entry[]>;
  /** Rows that were taken out of `#ahead` and not read yet. */
  #waiting: Entry[] = [];
  #nextRow: number;
  #ended = false;
  readonly preparing: Preparing;
  /** What was counted while the rows that were read were prepared, by name. */
  readonly counts = new Map<string, number>();

  constructor(options: TaskSourceOptions) {
    const { task, threads, firstRow = 0 } = options;
    this.#options = options;
    this.#nextRow = firstRow;
    this.#pool = new RowsPool({ preparer: task.preparer, threads });
    this.#ahead = new Ahead({ begin: () => this.#begin(), most: rowsAhead(task) });
    const measure = () => this.#prepareUpTo(MEASURED * task.preparer.rowsAtOnce);
    this.preparing = preparingOf(this.#pool, 'tokenise texts', measure);
  }

  get rows(): number | null {
    return this.#options.records.rows;
  }

  get specs(): readonly TensorSpec[] {
    return this.#options.task.specs;
  }

  get padding(): readonly number[] | null {
    return this.#options.task.padding;
  }

  async survey(): Promise<LengthSurvey> {
    await this.#prepareUpTo(Math.min(SURVEYED, rowsAhead(this.#options.task)));
    const { limit } = this.#options.task;
    const lengths = new Map<number, number>();
    const largest = this.specs.map(({ shape }) => shape.map((dim) => dim ?? limit ?? 0));
    let cut = 0;
    for (const tensors of this.#waiting.flatMap(({ row }) => ('code' in row ? [] : partsOf(row)))) {
      for (const [n, { shape }] of tensors.entries()) {
        for (const [axis, dim] of shape.entries()) largest[n]![axis] = Math.max(largest[n]![axis]!, dim);
      }
      const length = this.#lengthOf(tensors);
      lengths.set(length, (lengths.get(length) ?? 0) + 1);
    }
    for (const { row } of this.#waiting) if ('tensors' in row) cut += row.counts?.[TEXTS_CUT] ?? 0;
    return { lengths, isWhole: this.#ended, largest, limit, cut };
  }

  async read(rows: number): Promise<TaskRead> {
    await this.#prepareUpTo(rows);
    const taken = this.#waiting.splice(0, rows);
    const good = new GoodRows(this.#options.dedupe ?? false);
    const recordRows: RecordRows[] = [];
    const failures: RowFailure[] = [];
    for (const { row, record, ...entry } of taken) {
      if ('code' in row) {
        failures.push(row);
        continue;
      }
      this.#count(row.counts);
      const places = partsOf(row).map((tensors) => good.add(entry.index, tensors));
      recordRows.push({ ...entry, record: record!, texts: grouped(places, row.groups ?? [places.length]) });
    }
    return {
      ...{ rows: taken.length, failures, good: good.rows, recordRows },
      ids: taken.map(({ id }) => id),
      batchLines: new Set(taken.flatMap(({ batchLine }, n) => (batchLine ? [n] : []))),
    };
  }

  async close(): Promise<void> {
    const stopped = this.#ahead.stop();
    await this.#options.records.close();
    await stopped.catch(() => {});
    await this.#pool.close();
  }

  /** The size of its ragged axes. */
  #lengthOf(tensors: readonly Tensor[]): number {
    for (const [n, { shape }] of this.specs.entries()) {
      const open = shape.flatMap((dim, axis) => (dim === null ? [tensors[n]!.shape[axis]!] : []));
      if (open.length > 0) return open.reduce((product, dim) => product * dim, 1);
    }
    return 1;
  }

  async #prepareUpTo(rows: number): Promise<void> {
    while (this.#waiting.length < rows && !this.#ended) {
      const entries = await this.#ahead.take();
      if (entries === null) this.#ended = true;
      else this.#waiting.push(...entries);
    }
  }

  async #begin(): Promise<Begun<readonly Entry[]> | null> {
    const { records, task } = this.#options;
    const read = await records.read(task.preparer.rowsAtOnce);
    if (read.rows === 0) return null;
    const firstRow = this.#nextRow;
    this.#nextRow += read.rows;
    const failed = new Map(read.failures.map((failure) => [failure.index, failure]));
    const good = read.records.values();
    const entries = Array.from({ length: read.rows }, (_, n): Selecting => {
      const index = firstRow + n;
      const id = read.ids[n] ?? index;
      const batchLine = read.batchLines.has(n);
      const failure = failed.get(index);
      if (failure) return { index, id, batchLine, record: null, failure };
      const record = good.next().value!;
      return { index, id, batchLine, record, ...this.#selected(record, index, id, batchLine) };
    });
    return { weight: read.rows, result: this.#prepare(entries) };
  }

  #selected(record: RowRecord, index: number, id: RowId, batchLine: boolean): Selected {
    try {
      return { selected: this.#options.task.select(record) };
    } catch (error) {
      if (error instanceof RowFault) return { failure: error.at(index, id, batchLine) };
      throw error;
    }
  }

  async #prepare(entries: readonly Selecting[]): Promise<readonly Entry[]> {
    const selected = entries.flatMap((entry) => ('selected' in entry ? [entry.selected] : []));
    const prepared = (selected.length > 0 ? await this.#pool.prepare(selected) : []).values();
    return entries.map((entry) => {
      const { index, id, batchLine, record } = entry;
      const row = 'failure' in entry ? entry.failure : rowOf(prepared.next().value!, entry);
      return { index, id, batchLine, record, row };
    });
  }

  #count(counts: PreparedRow['counts'] = {}): void {
    for (const [name, count] of Object.entries(counts)) this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }
}

function rowOf(prepared: Prepared, { index, id, batchLine }: Selecting): PreparedRow | RowFailure {
  return 'fault' in prepared ? { index, id, ...prepared.fault, ...(batchLine && { batchLine }) } : prepared;
}

function partsOf({ tensors, more = [] }: PreparedRow): (readonly Tensor[])[] {
  return [tensors, ...more];
}

/** The places in lists of these sizes. */
function grouped(places: readonly number[], sizes: readonly number[]): number[][] {
  let from = 0;
  return sizes.map((size) => {
    from += size;
    return places.slice(from - size, from);
  });
}

/** The rows of a window, the same one kept once if that is wanted. */
class GoodRows {
  readonly rows: RaggedRow[] = [];
  readonly #places: Map<string, number> | null;

  constructor(dedupe: boolean) {
    this.#places = dedupe ? new Map() : null;
  }

  /** The place of the row. */
  add(index: number, tensors: readonly Tensor[]): number {
    const key = this.#places && contentOf(tensors);
    const known = key === null ? undefined : this.#places?.get(key);
    if (known !== undefined) return known;
    if (key !== null) this.#places?.set(key, this.rows.length);
    return this.rows.push({ index, tensors }) - 1;
  }
}

function contentOf(tensors: readonly Tensor[]): string {
  const hash = createHash('sha256');
  for (const { shape, data } of tensors) hash.update(`${shape.join()};`).update(bytesOf(data));
  return hash.digest('base64');
}

type Selected = { readonly selected: unknown } | { readonly failure: RowFailure };
type Selecting = Omit<Entry, 'row'> & Selected;

function rowsAhead({ specs, limit }: Task): number {
  const bytes = specs.reduce((sum, { dtype, shape }) => {
    const elements = shape.reduce<number>((product, dim) => product * (dim ?? limit ?? 512), 1);
    return sum + elements * bytesPerElement(dtype);
  }, 0);
  return Math.max(1, Math.min(ROWS_AHEAD, Math.floor(BYTES_AHEAD / Math.max(1, bytes))));
}
