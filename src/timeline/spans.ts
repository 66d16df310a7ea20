/** Spans of a run of any length in bounded memory: the newest ones, and evenly spaced windows of micro-batches before them. */

/** Where in its schedule a span belongs. */
export interface SpanPlace {
  readonly pass: number;
  /** How often the micro-batch had been through all stages. */
  readonly round: number;
  readonly slot: number;
}

/** One micro-batch in one stage, in one of its passes; microseconds of the monotonic clock. */
export interface Span {
  readonly stage: number;
  /** Left out if it is not known. */
  readonly place?: SpanPlace;
  /** Index of the worker in its stage; a worker that replaces a dead one has its index. */
  readonly worker: number;
  readonly microBatch: number;
  readonly rows: number;
  /** When its inputs were ready for the stage. */
  readonly readyAt: number;
  /** When loading the slice began, if it was not loaded. */
  readonly loadedFrom?: number;
  readonly acceptedAt: number;
  readonly finishedAt: number;
}

/** Micro-batches of a window. */
const WINDOW = 32;

export interface SpanLimits {
  /** Spans of the newest part. */
  readonly newest: number;
  /** Windows of the part before it; if there are more, every second one is dropped. */
  readonly windows: number;
}

export class Spans {
  readonly #limits: SpanLimits;
  /** The newest spans; a circular buffer once it is full. */
  readonly #newest: Span[] = [];
  #oldest = 0;
  /** Older spans by the number of their window. Each number is a multiple of `stride`, so the first window is always kept. */
  readonly #windows = new Map<number, Span[]>();
  #stride = 1;
  #recorded = 0;

  constructor(limits: SpanLimits = { newest: 4096, windows: 32 }) {
    this.#limits = limits;
  }

  /** Spans ever added, kept or not. */
  get recorded(): number {
    return this.#recorded;
  }

  add(span: Span): void {
    this.#recorded += 1;
    if (this.#newest.length < this.#limits.newest) {
      this.#newest.push(span);
      return;
    }
    this.#retire(this.#newest[this.#oldest]!);
    this.#newest[this.#oldest] = span;
    this.#oldest = (this.#oldest + 1) % this.#limits.newest;
  }

  /** The kept spans, in the order in which they were added. */
  all(): Span[] {
    const ordered = [...this.#windows].sort(([a], [b]) => a - b).flatMap(([, spans]) => spans);
    return [...ordered, ...this.#newest.slice(this.#oldest), ...this.#newest.slice(0, this.#oldest)];
  }

  #retire(span: Span): void {
    const window = Math.floor(span.microBatch / WINDOW);
    if (window % this.#stride !== 0) return;
    const kept = this.#windows.get(window);
    if (kept) kept.push(span);
    else this.#windows.set(window, [span]);
    if (this.#windows.size <= this.#limits.windows) return;
    this.#stride *= 2;
    for (const number of this.#windows.keys()) if (number % this.#stride !== 0) this.#windows.delete(number);
  }
}
