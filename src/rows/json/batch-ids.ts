/** The set of `custom_id`s that were read. Two rows with the same `custom_id` could not be distinguished in the output. */
import { createHash } from 'node:crypto';

/** Ids that are remembered, in at most 128 MiB. Later ids are not checked. */
const MAX_IDS = 1 << 23;
/** Initial table size. The table always has at least twice as many entries as ids. */
const INITIAL_SIZE = 1 << 10;

export class BatchIds {
  readonly #most: number;
  /** Open addressing with linear probing: 64 bits of each id's hash; 0 is a free entry. */
  #table = new BigUint64Array(INITIAL_SIZE);
  #count = 0;

  constructor({ most = MAX_IDS }: { most?: number } = {}) {
    this.#most = most;
  }

  /** Adds `id`. Returns whether it is new. */
  add(id: string): boolean {
    if (this.#count === this.#most) return true;
    const hash = createHash('sha256').update(id).digest().readBigUInt64LE() | 1n;
    const index = this.#indexOf(hash);
    if (this.#table[index] === hash) return false;
    this.#table[index] = hash;
    this.#count += 1;
    if (this.#count * 2 > this.#table.length) this.#grow();
    return true;
  }

  /** The index of the hash, or of the free entry where it belongs. */
  #indexOf(hash: bigint): number {
    const mask = this.#table.length - 1;
    let index = Number(hash >> 40n) & mask;
    while (this.#table[index] !== 0n && this.#table[index] !== hash) index = (index + 1) & mask;
    return index;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new BigUint64Array(old.length * 2);
    for (const hash of old) if (hash !== 0n) this.#table[this.#indexOf(hash)] = hash;
  }
}
