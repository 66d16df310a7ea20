/** A source of image rows: rows workers read, decode and shape the images ahead of the stages, within a bound. */
import { availableParallelism } from 'node:os';
import { type Recipe, shapeOf } from '../../rows/images/recipe.js';
import type { Preparing } from '../../rows/preparing.js';
import type { GivenId, RowFailure, RowId, RowsRead, Source } from '../../rows/source.js';
import { byteCount, type Tensor, type TensorSpec } from '../../tensor.js';
import { Ahead } from '../ahead.js';
import { preparingOf } from '../preparing-of-pool.js';
import { RowsPool } from '../rows-pool.js';
import type { Prepared } from '../task.js';
import type { ImagePreparerOptions } from './image-preparer.js';
import type { ImageRow, ImageRows } from './image-rows.js';

/** Bytes of prepared images that wait for the stages, besides those that every worker makes. */
const WAITING_BYTES = 64 << 20;
/** The same in images: small ones are prepared faster than a call costs. */
const MOST_WAITING = 256;
/** Images that are timed before the stages begin. */
const MEASURED = 8;
/** Rows that are asked of a table at once. */
const ROWS_AT_ONCE = 64;

export interface ImageSourceOptions {
  readonly recipe: Recipe;
  /** The model's input that takes the images. */
  readonly input: TensorSpec;
  /** Workers that decode; default half of the cores. */
  readonly threads?: number;
  /** Position of the first row that `rows` gives. */
  readonly firstRow?: number;
}

interface ImageDone {
  readonly id: GivenId;
  readonly done: Prepared | RowFailure;
}

export class ImageSource implements Source {
  readonly rows: number | null;
  readonly rowSpecs: readonly TensorSpec[];
  finish: Source['finish'];
  check: Source['check'];
  readonly #images: ImageRows;
  readonly #pool: RowsPool;
  readonly #ahead: Ahead<ImageDone>;
  readonly preparing: Preparing;
  /** Taken out of `#ahead` to be timed, and not read yet. */
  #measured: ImageDone[] = [];
  #listed: ImageRow[] = [];
  #next: number;

  constructor(images: ImageRows, { recipe, input, threads = threadsHere(), firstRow = 0 }: ImageSourceOptions) {
    const shape = shapeOf(recipe);
    const waiting = Math.min(MOST_WAITING, Math.floor(WAITING_BYTES / byteCount(recipe.dtype, shape)));
    const options: ImagePreparerOptions = { recipe };
    this.rows = images.rows;
    this.rowSpecs = [{ name: input.name, dtype: input.dtype, shape }];
    this.#images = images;
    this.#next = firstRow;
    this.#pool = new RowsPool({ preparer: { name: 'images', options, rowsAtOnce: 1 }, threads });
    this.#ahead = new Ahead({ most: Math.max(2 * threads, waiting), begin: () => this.#begin() });
    this.preparing = preparingOf(this.#pool, 'decode images', () => this.#measure());
  }

  async read([into]: readonly Tensor[]): Promise<RowsRead> {
    const [capacity, ...row] = into!.shape as [number, ...number[]];
    const elements = row.reduce((product, dim) => product * dim, 1);
    const failures: RowFailure[] = [];
    const ids: RowId[] = [];
    let good = 0;
    while (ids.length < capacity) {
      const image = this.#measured.shift() ?? (await this.#ahead.take());
      if (image === null) break;
      const { id, done } = image;
      const index = this.#next++;
      ids.push(typeof id === 'string' || typeof id === 'number' ? id : index);
      if ('tensors' in done) {
        (into!.data as Float32Array).set(done.tensors[0]!.data as Float32Array, elements * good++);
      } else if ('fault' in done) failures.push({ index, id, ...done.fault });
      else failures.push(done);
    }
    return { rows: ids.length, failures, ids };
  }

  async close(): Promise<void> {
    await this.#pool.close();
    await this.#ahead.stop();
    await this.#images.close();
  }

  async #measure(): Promise<void> {
    while (this.#measured.length < MEASURED) {
      const image = await this.#ahead.take();
      if (image === null) return;
      this.#measured.push(image);
    }
  }

  async #begin(): Promise<{ weight: number; result: Promise<ImageDone> } | null> {
    if (this.#listed.length === 0) this.#listed = [...(await this.#images.next(ROWS_AT_ONCE))];
    const row = this.#listed.shift();
    if (row === undefined) return null;
    if ('code' in row) return { weight: 1, result: Promise.resolve({ id: row.id, done: row }) };
    const result = this.#pool.prepare([row.ref]).then(([done]) => ({ id: row.id, done: done! }));
    return { weight: 1, result };
  }
}

function threadsHere(): number {
  return Math.max(1, Math.floor(availableParallelism() / 2));
}
