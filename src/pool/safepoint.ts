/**
 * The safepoints of a pool's threads: whether each is inside an engine call or outside. A thread may be ended only outside. Native code that
 * returns into a thread that is being ended can neither create a value nor throw: node-addon-api then throws a C++ exception that is not
 * caught, and the whole process aborts ("terminate called after throwing an instance of 'Napi::Error'").
 *
 * Invariants
 * I1 After `stop` no thread enters an engine again, and each does nothing more once it is outside.
 * I2 `outside` resolves only when the thread is outside.
 */

// Words, Int32. kStopped: set from 0 to 1, once, by the thread that ends the others. kTaken: how many entries are taken; a thread takes one as it boots.
const kStopped = 0;
const kTaken = 1;
const HEADER_WORDS = 2;
// Words of each entry, written by its thread. kThread: its id, written once. kInside: how many engine calls are running.
const kThread = 0;
const kInside = 1;
const ENTRY_WORDS = 2;

/** After so many threads, new ones reuse the entries of the oldest. */
const ENTRIES = 1024;

/** The side that ends the threads. */
export class Safepoints {
  readonly memory = new SharedArrayBuffer((HEADER_WORDS + ENTRIES * ENTRY_WORDS) * Int32Array.BYTES_PER_ELEMENT);
  readonly #words = new Int32Array(this.memory);

  /** From now on no thread enters an engine. */
  stop(): void {
    Atomics.store(this.#words, kStopped, 1);
    Atomics.notify(this.#words, kStopped);
  }

  /** Whether the thread has booted. */
  knows(thread: number): boolean {
    return this.#entryOf(thread) !== null;
  }

  /** Resolves when the thread is outside, which may be never. A thread that has not booted is outside. */
  async outside(thread: number): Promise<void> {
    const entry = this.#entryOf(thread);
    if (entry === null) return;
    const inside = entry + kInside;
    for (let seen = Atomics.load(this.#words, inside); seen > 0; seen = Atomics.load(this.#words, inside))
      await Atomics.waitAsync(this.#words, inside, seen).value;
  }

  /** The same for a process that is about to exit: blocks for at most `limit` milliseconds. Returns whether the thread is outside. */
  outsideNow(thread: number, limit: number): boolean {
    const entry = this.#entryOf(thread);
    if (entry === null) return true;
    const inside = entry + kInside;
    const end = performance.now() + limit;
    for (let seen = Atomics.load(this.#words, inside); seen > 0; seen = Atomics.load(this.#words, inside)) {
      const left = end - performance.now();
      if (left <= 0) return false;
      Atomics.wait(this.#words, inside, seen, left);
    }
    return true;
  }

  #entryOf(thread: number): number | null {
    const taken = Math.min(ENTRIES, Atomics.load(this.#words, kTaken));
    for (let n = 0; n < taken; n++) {
      const entry = HEADER_WORDS + n * ENTRY_WORDS;
      if (Atomics.load(this.#words, entry + kThread) === thread) return entry;
    }
    return null;
  }
}

/** The side of one thread. */
export class Safepoint {
  readonly #words: Int32Array;
  readonly #inside: number;

  /** `memory` is the memory of its pool's safepoints. */
  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#words = new Int32Array(memory);
    const entry = HEADER_WORDS + (Atomics.add(this.#words, kTaken, 1) % ENTRIES) * ENTRY_WORDS;
    this.#inside = entry + kInside;
    Atomics.store(this.#words, this.#inside, 0);
    Atomics.store(this.#words, entry + kThread, thread);
    // The event loop runs only outside of native code, whatever an engine call awaits.
    void Promise.resolve(Atomics.waitAsync(this.#words, kStopped, 0).value).then(() => this.#sleepForEver());
  }

  /** Runs an engine call. */
  async inside<T>(call: () => T | Promise<T>): Promise<T> {
    Atomics.add(this.#words, this.#inside, 1);
    try {
      if (!this.#isStopped) return await call();
    } finally {
      Atomics.sub(this.#words, this.#inside, 1);
      Atomics.notify(this.#words, this.#inside);
      if (this.#isStopped) this.#sleepForEver();
    }
    throw new Error('unreachable');
  }

  /** Sleeps until the thread is ended. */
  #sleepForEver(): never {
    Atomics.store(this.#words, this.#inside, 0);
    Atomics.notify(this.#words, this.#inside);
    for (;;) Atomics.wait(this.#words, kStopped, 1);
  }

  get #isStopped(): boolean {
    return Atomics.load(this.#words, kStopped) === 1;
  }
}
