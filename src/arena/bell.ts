/**
 * A bell: one word of shared memory that is rung for each slot that has come to a stage, so that whoever serves the stage sleeps
 * on one word however many slots there are.
 *
 * Invariants
 * I1 Who rings has changed a slot's state before; who waits has read the count before it looked at the slots. So no slot is missed.
 * I2 A halted bell stays halted, and nobody waits at it.
 */

import { byAtomics, type Waking } from './waking.js';

// Words of a bell, Int32. kCount: whoever hands a slot on; it may go round. kHalted: the coordinator, from 0 to 1, once.
const kCount = 0;
const kHalted = 1;

const EVERYBODY = 2 ** 31 - 1;

/** Words that a bell takes. */
export const BELL_WORDS = 2;

export class Bell {
  readonly #words: Int32Array;
  readonly #waking: Waking;
  /** Who listens in this thread. */
  #heard: (() => void) | undefined;

  constructor(words: Int32Array, waking: Waking = byAtomics) {
    this.#words = words;
    this.#waking = waking;
  }

  /** How often it has rung, to be compared with and nothing else. */
  get count(): number {
    return Atomics.load(this.#words, kCount);
  }

  get halted(): boolean {
    return Atomics.load(this.#words, kHalted) === 1;
  }

  /** Wakes one thread that waits: one slot is enough for one. Who listens in this thread needs no waking. */
  ring(): void {
    Atomics.add(this.#words, kCount, 1);
    if (this.#heard) this.#heard();
    else this.#waking.wake(this.#words, 1);
  }

  /** Sends everybody home who waits or ever will. */
  halt(): void {
    Atomics.store(this.#words, kHalted, 1);
    Atomics.add(this.#words, kCount, 1);
    this.#waking.wake(this.#words, EVERYBODY);
  }

  /** Blocks this thread until the count is no longer `seen`; it may return sooner. */
  wait(seen: number): void {
    if (!this.halted) this.#waking.sleep(this.#words, seen);
  }

  /** Keeps this thread awake until the count is no longer `seen`; false when that has not come in `limit` milliseconds. */
  watch(seen: number, limit: number): boolean {
    const end = performance.now() + limit;
    while (this.count === seen) if (performance.now() > end) return false;
    return true;
  }

  /**
   * Calls `heard` now, after every ring of another thread of this process, and within every ring of this one, until the bell is halted. For a
   * thread that must not block, and is the only one that waits at this bell. Keeps no process alive.
   */
  listen(heard: () => void): void {
    this.#heard = heard;
    void this.#hear(heard);
  }

  async #hear(heard: () => void): Promise<void> {
    while (!this.halted) {
      const seen = this.count;
      heard();
      if (!this.#waking.woken) return;
      await this.#waking.woken(this.#words, seen);
    }
  }
}
