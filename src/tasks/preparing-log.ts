/** The log of rows workers: how long they took for rows, over the whole job and for the newest calls. */
import type { PreparingSpan, PreparingUse } from '../rows/preparing.js';

/** Spans that are kept. */
const KEPT = 4096;

export class PreparingLog {
  #rows = 0;
  #rowsBefore = 0;
  #busy = 0;
  /** A ring once it is full. */
  readonly #spans: PreparingSpan[] = [];
  #calls = 0;

  add(span: PreparingSpan): void {
    this.#rows += span.rows;
    this.#busy += span.finishedAt - span.startedAt;
    this.#spans[this.#calls++ % KEPT] = span;
  }

  /** The job begins: what was done so far was for its plan. */
  begin(): void {
    this.#rowsBefore += this.#rows;
    this.#rows = 0;
    this.#busy = 0;
  }

  get use(): PreparingUse {
    const from = this.#calls % KEPT;
    const spans = this.#calls > KEPT ? [...this.#spans.slice(from), ...this.#spans.slice(0, from)] : [...this.#spans];
    return { rows: this.#rows, rowsBefore: this.#rowsBefore, busySeconds: this.#busy / 1e6, spans };
  }

  /** Seconds for a row: the median of the calls, without each thread's first, in which code is compiled; `null` before any. */
  get secondsPerRow(): number | null {
    const seen = new Set<number>();
    const all = this.#spans.filter(({ rows }) => rows > 0);
    const warm = all.filter(({ thread }) => seen.has(thread) || !seen.add(thread));
    const each = (warm.length > 0 ? warm : all).map(
      ({ rows, startedAt, finishedAt }) => (finishedAt - startedAt) / rows,
    );
    if (each.length === 0) return null;
    return each.sort((a, b) => a - b)[Math.floor(each.length / 2)]! / 1e6;
  }
}
