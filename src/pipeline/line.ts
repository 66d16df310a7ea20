/** A queue between one producer and one consumer; unbounded, because slots bound it. */

export class Line<T> {
  readonly #items: T[] = [];
  #ended: { error?: unknown } | undefined;
  /** Wakes the consumer, where it waits. */
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

  /** What has not been taken. */
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

  /** The same, as soon as there is one; `undefined` after the last. Rejects with the error that the line was ended with. */
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
