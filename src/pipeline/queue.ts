/** A queue between one producer and one consumer. It needs no bound of its own, because every item holds a slot. */

export class Queue<T> {
  readonly #items: T[] = [];
  #ended: { error?: unknown } | undefined;
  /** Wakes a waiting consumer. */
  #wake: (() => void) | undefined;

  push(item: T): void {
    this.#items.push(item);
    this.#call();
  }

  end(error?: unknown): void {
    this.#ended = error === undefined ? {} : { error };
    this.#call();
  }

  #call(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Items that have not been taken. */
  get items(): readonly T[] {
    return this.#items;
  }

  takeAll(): T[] {
    return this.#items.splice(0);
  }

  /** The oldest item, if there is one. */
  shift(): T | undefined {
    return this.#items.shift();
  }

  /** The oldest item, as soon as there is one; `undefined` after the last. Rejects with the error passed to `end`. */
  async next(): Promise<T | undefined> {
    while (this.#items.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#items.length === 0 && this.#ended && 'error' in this.#ended) throw this.#ended.error;
    return this.shift();
  }
}
