/** Wake-up: how a thread sleeps on a word of shared memory, and how another one wakes it. */

export interface WakeUp {
  /** Wakes at most `count` of the threads that sleep on the first of `words`. */
  wake(words: Int32Array, count: number): void;
  /** Blocks this thread until it is woken, unless the first of `words` is no longer `seen`; it may return sooner. */
  sleep(words: Int32Array, seen: number): void;
  /** The same as `sleep`, for a thread that must not block; absent if such a thread cannot wait on this memory. */
  readonly woken?: ((words: Int32Array, seen: number) => unknown) | undefined;
}

/** Among the threads of one process. */
export const byAtomics: WakeUp = {
  wake(words, count) {
    Atomics.notify(words, 0, count);
  },
  sleep(words, seen) {
    Atomics.wait(words, 0, seen);
  },
  woken: (words, seen) => Atomics.waitAsync(words, 0, seen).value,
};

const NEVER_NOTIFIED = new Int32Array(new SharedArrayBuffer(4));

/** For systems without a futex between processes: a waiter returns every millisecond to look again. */
export const byPolling: WakeUp = {
  wake() {},
  sleep() {
    Atomics.wait(NEVER_NOTIFIED, 0, 0, 1);
  },
};
