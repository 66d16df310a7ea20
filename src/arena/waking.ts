/** Waking: how a thread sleeps on a word of shared memory, and how another one wakes it. */

export interface Waking {
  /** Wakes at most so many of those who sleep on the first of `words`. */
  wake(words: Int32Array, count: number): void;
  /** Blocks this thread until it is woken, unless the first of `words` is no longer `seen`; it may return sooner. */
  sleep(words: Int32Array, seen: number): void;
  /** The same for a thread that must not block; absent where such a one hears in another way that it is to look. */
  readonly woken?: ((words: Int32Array, seen: number) => unknown) | undefined;
}

/** Among the threads of one process. */
export const byAtomics: Waking = {
  wake(words, count) {
    Atomics.notify(words, 0, count);
  },
  sleep(words, seen) {
    Atomics.wait(words, 0, seen);
  },
  woken: (words, seen) => Atomics.waitAsync(words, 0, seen).value,
};

const NOBODYS = new Int32Array(new SharedArrayBuffer(4));

/** Where the system lets nobody sleep on memory that processes share: who sleeps looks every millisecond. */
export const byLooking: Waking = {
  wake() {},
  sleep() {
    Atomics.wait(NOBODYS, 0, 0, 1);
  },
};
