/** Feeds a pipeline with the micro-batches of windows, one window after the other; the next one is read while stages compute. */
import { type Feed, NOTHING, type Traits } from '../../pipeline/micro-batch.js';
import type { LengthPlan } from '../../plan/length-plan.js';
import type { RaggedRead, RaggedRow, RaggedSource } from '../../rows/ragged-source.js';
import type { Tensor } from '../../tensor.js';
import type { Batch } from './batches.js';
import { shapesOf } from './row-size.js';
import { type Division, Window } from './window.js';
import { writeRows } from './write-rows.js';

/** A micro-batch in flight; `batch` is `null` for a window without good rows. */
export interface WindowBatch {
  readonly window: Window;
  readonly batch: Batch | null;
  readonly rows: readonly RaggedRow[];
}

export class WindowFeed implements Feed {
  readonly #source: RaggedSource;
  #division: Division;
  readonly #signal: AbortSignal | undefined;
  #firstRow: number;
  #reading: Promise<RaggedRead> | undefined;
  #window: Window | undefined;
  /** Index in the window of the batch that is next. */
  #next = 0;
  /** What the next `fill` writes; `null` at the end. */
  #filling: WindowBatch | null = null;
  /** Oldest first. */
  readonly #inFlight: WindowBatch[] = [];
  /** A window with rows that the pipeline has no room for. */
  #tooLong: RaggedRead | null = null;

  /** `firstRow` is the row at which the source reads. */
  constructor(source: RaggedSource, division: Division, firstRow: number, signal?: AbortSignal) {
    this.#source = source;
    this.#division = division;
    this.#firstRow = firstRow;
    this.#signal = signal;
  }

  async traits(): Promise<Traits> {
    this.#filling = await this.#take();
    const { specs, lengths } = this.#division;
    const { batch, rows } = this.#filling ?? { batch: null, rows: [] };
    if (!batch) return { rows: 0, rowShapes: specs.map(({ shape }) => shape.map((dim) => dim ?? 0)) };
    return { rows: rows.length, rowShapes: shapesOf(specs, rows[0]!, batch.length, lengths.padded) };
  }

  async fill(into: readonly Tensor[]): Promise<number | typeof NOTHING> {
    const filling = this.#filling;
    if (!filling || this.#signal?.aborted) return 0;
    this.#inFlight.push(filling);
    if (!filling.batch) return NOTHING;
    writeRows(filling.rows, into, this.#source.padding ?? []);
    return filling.rows.length;
  }

  /**
   * By input the largest size of each axis, where the feed has ended at a window whose rows are longer than all before: rows of a pipe were not
   * all surveyed. `null` at the end of the input.
   */
  get needs(): readonly (readonly number[])[] | null {
    if (!this.#tooLong) return null;
    const { specs, lengths } = this.#division;
    return specs.map(({ shape }, n) =>
      shape.map((_, axis) =>
        this.#tooLong!.good.reduce(
          (most, { tensors }) => Math.max(most, tensors[n]!.shape[axis]!),
          lengths.largest[n]![axis]!,
        ),
      ),
    );
  }

  /** Goes on once the pipeline has room. */
  goOn(lengths: LengthPlan): void {
    this.#division = { ...this.#division, lengths };
  }

  /** The oldest micro-batch in flight. */
  takeDone(): WindowBatch {
    return this.#inFlight.shift()!;
  }

  /** The next micro-batch; `null` at the end of the input, and once the run is stopped. */
  async #take(): Promise<WindowBatch | null> {
    if (!this.#window || this.#next >= this.#window.batches.length) {
      const window = await this.#open();
      if (!window) return null;
      this.#window = window;
      this.#next = 0;
      if (window.batches.length === 0) return { window, batch: null, rows: [] };
    }
    const window = this.#window;
    const batch = window.batches[this.#next++]!;
    return { window, batch, rows: window.rowsOf(batch) };
  }

  async #open(): Promise<Window | null> {
    const read = this.#tooLong ?? (await this.#read());
    if (!read || read.rows === 0) return null;
    this.#tooLong = this.#fits(read) ? null : read;
    if (this.#tooLong) return null;
    const window = new Window(read, this.#firstRow, this.#division);
    this.#firstRow += read.rows;
    this.#reading = this.#source.read(this.#division.lengths.window);
    // Its failure is thrown when the next window is asked for.
    this.#reading.catch(() => {});
    return window;
  }

  #fits({ good }: RaggedRead): boolean {
    const { largest } = this.#division.lengths;
    return good.every(({ tensors }) =>
      tensors.every(({ shape }, n) => shape.every((dim, axis) => dim <= largest[n]![axis]!)),
    );
  }

  /** `null` once the run is stopped, in whatever way a read that waits for rows then ends. */
  async #read(): Promise<RaggedRead | null> {
    const signal = this.#signal;
    if (signal?.aborted) return null;
    const reading = this.#reading ?? this.#source.read(this.#division.lengths.window);
    if (!signal) return reading;
    let stop = () => {};
    const stopped = new Promise<null>((resolve) => {
      stop = () => resolve(null);
      signal.addEventListener('abort', stop, { once: true });
    });
    try {
      return await Promise.race([reading, stopped]);
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
