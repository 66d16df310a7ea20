/** Rows of several files of arrays, one file after another, as one source. */
import { TandemError } from '../errors.js';
import { formatSpec, type Tensor, type TensorSpec, type TypedArray } from '../tensor.js';
import type { RowFailure, RowsRead, Source } from './source.js';

interface File {
  readonly path: string;
  readonly rows: number;
}

/** Opens one file of arrays, at its row `firstRow`. */
export type OpenFile = (path: string, firstRow: number) => Promise<Source>;

export class FilesInRow implements Source {
  readonly rows: number;
  readonly rowSpecs: readonly TensorSpec[];
  readonly #files: readonly File[];
  readonly #open: OpenFile;
  #source: Source | null = null;
  /** The file that is read, and the position of the next row. */
  #file = 0;
  #next = 0;

  private constructor(files: readonly File[], rowSpecs: readonly TensorSpec[], open: OpenFile) {
    this.#files = files;
    this.#open = open;
    this.rowSpecs = rowSpecs;
    this.rows = files.reduce((sum, { rows }) => sum + rows, 0);
  }

  /** Looks at the head of each file. Throws TANDEM_INPUT_INVALID unless the rows of all have the same shapes. */
  static async open(paths: readonly string[], firstRow: number, open: OpenFile): Promise<FilesInRow> {
    const files: File[] = [];
    let first: readonly TensorSpec[] = [];
    for (const path of paths) {
      const source = await open(path, 0);
      await source.close();
      const { rows, rowSpecs } = source;
      if (files.length === 0) first = rowSpecs;
      checkSame(paths[0]!, first, path, rowSpecs);
      files.push({ path, rows: rows! });
    }
    const all = new FilesInRow(files, first, open);
    await all.#goTo(firstRow);
    return all;
  }

  /** Across the ends of files, so that a micro-batch does not depend on them. */
  async read(into: readonly Tensor[]): Promise<RowsRead> {
    const capacity = into[0]!.shape[0]!;
    const first = this.#next;
    const failures: RowFailure[] = [];
    while (this.#source && this.#next - first < capacity) {
      const taken = this.#next - first;
      const room = into.map((tensor) => rowsBetween(tensor, taken - failures.length, capacity - failures.length));
      const read = await this.#source.read(room);
      const before = this.#before();
      failures.push(...read.failures.map((one) => ({ ...one, index: one.index + before, id: one.index + before })));
      this.#next += read.rows;
      if (this.#next === before + this.#files[this.#file]!.rows) await this.#goTo(this.#next);
    }
    return { rows: this.#next - first, failures, ids: null };
  }

  async close(): Promise<void> {
    await this.#source?.close();
    this.#source = null;
  }

  /** Rows of the files before the one that is read. */
  #before(): number {
    return this.#files.slice(0, this.#file).reduce((sum, { rows }) => sum + rows, 0);
  }

  async #goTo(row: number): Promise<void> {
    await this.close();
    this.#next = Math.min(row, this.rows);
    let before = 0;
    for (const [n, { path, rows }] of this.#files.entries()) {
      if (this.#next < before + rows) {
        this.#file = n;
        this.#source = await this.#open(path, this.#next - before);
        return;
      }
      before += rows;
    }
  }
}

/** A view of the rows [from, to) of `tensor`. */
export function rowsBetween({ dtype, shape, data }: Tensor, from: number, to: number): Tensor {
  const [capacity, ...rowShape] = shape as [number, ...number[]];
  const elements = data.length / capacity;
  return { dtype, shape: [to - from, ...rowShape], data: data.subarray(from * elements, to * elements) as TypedArray };
}

function checkSame(a: string, first: readonly TensorSpec[], b: string, now: readonly TensorSpec[]): void {
  for (const [n, spec] of first.entries()) {
    const [is, was] = [formatSpec(now[n]!), formatSpec(spec)];
    if (is === was) continue;
    throw new TandemError('TANDEM_INPUT_INVALID', `rows of "${spec.name}" are ${was} in ${a}, and ${is} in ${b}`, {
      remedy: 'give files with rows of the same shape, or run them one by one',
    });
  }
}
