/** The pace of a run: rows done and workers' busy time in equal intervals. They get longer with the run, so their number is bounded. */

export interface Pace {
  /** Length of an interval; the first begins with the run. */
  readonly intervalSeconds: number;
  /** Rows that left the last stage in each interval. */
  readonly rows: readonly number[];
  /** Seconds that each lane (a worker of a stage) computed in each interval. */
  readonly busySeconds: readonly (readonly number[])[];
}

const INTERVALS = 512;
const SHORTEST_MICROS = 1000;

export class PaceCounter {
  #interval = SHORTEST_MICROS;
  #rows: number[] = [];
  /** Microseconds by lane and interval. */
  readonly #busy: number[][];

  constructor(lanes: number) {
    this.#busy = Array.from({ length: lanes }, () => []);
  }

  /** `lane` has computed from `from` to `to`, in microseconds since the run began. */
  addBusy(lane: number, from: number, to: number): void {
    const end = this.#intervalOf(to);
    const interval = this.#interval;
    const busy = this.#busy[lane]!;
    for (let n = Math.floor(from / interval); n <= end; n++) {
      const inside = Math.min(to, (n + 1) * interval) - Math.max(from, n * interval);
      busy[n] = (busy[n] ?? 0) + inside;
    }
  }

  /** Rows have left the last stage, microseconds after the run began. */
  addRows(rows: number, at: number): void {
    const n = this.#intervalOf(at);
    this.#rows[n] = (this.#rows[n] ?? 0) + rows;
  }

  #intervalOf(time: number): number {
    while (time >= this.#interval * INTERVALS) this.#widen();
    return Math.floor(time / this.#interval);
  }

  get pace(): Pace {
    const length = Math.max(this.#rows.length, ...this.#busy.map((busy) => busy.length));
    const padded = (values: readonly number[], scale: number) =>
      Array.from({ length }, (_, n) => (values[n] ?? 0) / scale);
    return {
      intervalSeconds: this.#interval / 1e6,
      rows: padded(this.#rows, 1),
      busySeconds: this.#busy.map((busy) => padded(busy, 1e6)),
    };
  }

  #widen(): void {
    this.#interval *= 2;
    this.#rows = inPairs(this.#rows);
    for (const [lane, busy] of this.#busy.entries()) this.#busy[lane] = inPairs(busy);
  }
}

function inPairs(values: readonly number[]): number[] {
  return Array.from(
    { length: Math.ceil(values.length / 2) },
    (_, n) => (values[2 * n] ?? 0) + (values[2 * n + 1] ?? 0),
  );
}
