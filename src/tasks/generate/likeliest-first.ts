/** Token ids in the order of their weights: a heap, since of a vocabulary of a hundred thousand a few are asked for. */

export class LikeliestFirst {
  readonly #weights: ArrayLike<number>;
  /** Ids; none is before the one at half its place. */
  readonly #heap: Uint32Array;
  #size = 0;

  /** `weights`: [vocabulary]. Tokens of weight `none` are left out. */
  constructor(weights: ArrayLike<number>, none = 0) {
    this.#weights = weights;
    this.#heap = new Uint32Array(weights.length);
    for (let id = 0; id < weights.length; id++) if (weights[id] !== none) this.#heap[this.#size++] = id;
    for (let at = (this.#size >>> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  /** The likeliest that is left, of equals the first; -1 at the end. */
  take(): number {
    if (this.#size === 0) return -1;
    const first = this.#heap[0]!;
    this.#size -= 1;
    this.#heap[0] = this.#heap[this.#size]!;
    this.#sink(0);
    return first;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const id = heap[from]!;
    let at = from;
    for (let below = 2 * at + 1; below < this.#size; below = 2 * at + 1) {
      if (below + 1 < this.#size && this.#isBefore(heap[below + 1]!, heap[below]!)) below += 1;
      if (!this.#isBefore(heap[below]!, id)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = id;
  }

  #isBefore(a: number, b: number): boolean {
    const [x, y] = [this.#weights[a]!, this.#weights[b]!];
    return x > y || (x === y && a < b);
  }
}
