/** What the coordinator's thread spends in a run, micro-batch by micro-batch, with the copying of rows told apart. */
import { median } from '../plan/median.js';
import { coordinatorMicros } from './coordinator-clock.js';

/** Microseconds of processor time, without what reading the clock takes. */
export interface CoordinatorCost {
  /** For each stage that a micro-batch went through: the mean of all, with waking up, copying rows in, and cold code. */
  readonly mean: number;
  /** The same between one micro-batch that comes out and the next: the median, without copying rows in. */
  readonly own: number;
  /** Copying the rows of one micro-batch in: the mean. */
  readonly copy: number;
}

export class CoordinatorLedger {
  readonly #clock: () => number;
  readonly #beganAt: number;
  #lastAt: number;
  #copied = 0;
  /** By micro-batch. */
  readonly #own: number[] = [];
  /** What reading the clock costs, which is in every entry once. */
  readonly #reading: number[] = [];

  constructor(clock: () => number = coordinatorMicros) {
    this.#clock = clock;
    this.#beganAt = clock();
    this.#lastAt = this.#beganAt;
  }

  /** A micro-batch has come out; `copied` microseconds have gone into copying rows since the run began. */
  enter(copied: number): void {
    const now = this.#clock();
    this.#own.push(now - this.#lastAt - (copied - this.#copied));
    this.#copied = copied;
    this.#lastAt = this.#clock();
    this.#reading.push(this.#lastAt - now);
  }

  close(copied: number, stages: number): CoordinatorCost {
    const m = Math.max(1, this.#own.length);
    const reading = this.#reading.length > 0 ? median(this.#reading) : 0;
    const all = this.#clock() - this.#beganAt - 2 * m * reading;
    // Those before the first had its slots filled are not like the others.
    const steady = this.#own.slice(1);
    const own = steady.length > 0 ? median(steady) - reading : all;
    return { mean: all / m / stages, own: Math.max(0, own) / stages, copy: copied / m };
  }
}
