/** The processor time of the coordinator's thread in a run, by micro-batch, with the copying of rows apart. */
import { median } from '../planner/measure/median.js';
import { coordinatorMicros } from './coordinator-clock.js';

/** Microseconds of processor time, without the time of reading the clock. */
export interface CoordinatorCost {
  /** For each stage that a micro-batch went through: the mean of all, including wake-ups, copying rows in, and cold code. */
  readonly mean: number;
  /** The same between the ends of two micro-batches: the median, without copying rows in. */
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
  /** The time of one reading of the clock, which every entry contains once. */
  readonly #reading: number[] = [];

  constructor(clock: () => number = coordinatorMicros) {
    this.#clock = clock;
    this.#beganAt = clock();
    this.#lastAt = this.#beganAt;
  }

  /** Called when a micro-batch has left the pipeline; `copied`: microseconds of copying rows since the run began. */
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
    // The first entry also contains the filling of the slots.
    const steady = this.#own.slice(1);
    const own = steady.length > 0 ? median(steady) - reading : all;
    return { mean: all / m / stages, own: Math.max(0, own) / stages, copy: copied / m };
  }
}
