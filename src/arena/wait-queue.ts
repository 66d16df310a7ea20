/**
 * A wait queue: one counter in shared memory, notified for each slot that becomes READY for a pool. The pool's workers sleep on this one
 * word, however many slots there are.
 *
 * Invariants
 * I1 A notifier changes the slot's state before it notifies. A waiter reads the count before it looks at the slots. So no slot is missed.
 * I2 A halted wait queue stays halted, and no thread waits at it.
 */

import { byAtomics, type WakeUp } from './wake-up.js';

// Words of a wait queue, Int32. Every notifier increments kCount, which may overflow. The coordinator sets kHalted from 0 to 1, once, and
// kPaused to 1 while it makes several slots READY that must be seen together.
const kCount = 0;
const kHalted = 1;
const kPaused = 2;

const ALL_WAITERS = 2 ** 31 - 1;

/** Words that a wait queue takes. */
export const WAIT_QUEUE_WORDS = 3;

export class WaitQueue {
  readonly #words: Int32Array;
  readonly #wakeUp: WakeUp;
  /** The listener of this thread. */
  #onNotify: (() => void) | undefined;

  constructor(words: Int32Array, wakeUp: WakeUp = byAtomics) {
    this.#words = words;
    this.#wakeUp = wakeUp;
  }

  /** Number of notifications, only to be compared for equality. */
  get count(): number {
    return Atomics.load(this.#words, kCount);
  }

  get halted(): boolean {
    return Atomics.load(this.#words, kHalted) === 1;
  }

  /** Whether waiters must not look at the slots now. */
  get paused(): boolean {
    return Atomics.load(this.#words, kPaused) === 1;
  }

  pause(): void {
    Atomics.store(this.#words, kPaused, 1);
  }

  resume(): void {
    Atomics.store(this.#words, kPaused, 0);
    this.notifyAll();
  }

  /** Wakes one waiting thread. A listener of this thread is called directly instead. */
  notify(): void {
    Atomics.add(this.#words, kCount, 1);
    if (this.#onNotify) this.#onNotify();
    else this.#wakeUp.wake(this.#words, 1);
  }

  /** Wakes all waiting threads: for a slot that only a particular one may take. */
  notifyAll(): void {
    Atomics.add(this.#words, kCount, 1);
    this.#wakeUp.wake(this.#words, ALL_WAITERS);
  }

  /** Wakes one thread; all if the slot is for a particular worker. */
  notifyFor(worker: number | null): void {
    if (worker === null) this.notify();
    else this.notifyAll();
  }

  /** Ends all present and later waits. */
  halt(): void {
    Atomics.store(this.#words, kHalted, 1);
    Atomics.add(this.#words, kCount, 1);
    this.#wakeUp.wake(this.#words, ALL_WAITERS);
  }

  /** Blocks this thread until the count is no longer `seen`; it may return sooner. */
  wait(seen: number): void {
    if (!this.halted) this.#wakeUp.sleep(this.#words, seen);
  }

  /** Spins until the count is no longer `seen`; false after `limit` milliseconds. */
  watch(seen: number, limit: number): boolean {
    const end = performance.now() + limit;
    while (this.count === seen) if (performance.now() > end) return false;
    return true;
  }

  /**
   * Calls `onNotify` now, after every notification by another thread, and within every `notify` of this thread, until the wait queue is halted.
   * For a thread that must not block and is the only waiter at this wait queue. Does not keep the process alive.
   */
  listen(onNotify: () => void): void {
    this.#onNotify = onNotify;
    void this.#waitAsync(onNotify);
  }

  async #waitAsync(onNotify: () => void): Promise<void> {
    while (!this.halted) {
      const seen = this.count;
      onNotify();
      if (!this.#wakeUp.woken) return;
      await this.#wakeUp.woken(this.#words, seen);
    }
  }
}
