/** The `custom_id`s that rows have had so far: a second row with one of them could not be told from the first in what comes back. */
import { createHash } from 'node:crypto';

/** So many are remembered, in at most 128 MiB; rows after that are not looked at. */
const MOST = 1 << 23;
/** Places at first; there are always twice as many as ids. */
const FEWEST = 1 << 10;

export class BatchIds {
  readonly #most: number;
  /** 64 bits of each id's hash, at its place or the next free one after it; 0 is free. */
  #table = new BigUint64Array(FEWEST);
  #count = 0;

  constructor({ most = MOST }: { most?: number } = {}) {
    this.#most = most;
  }

  /** Whether `id` is new; it is known from now on. */
  add(id: string): boolean {
    if (this.#count === this.#most) return true;
    const hash = createHash('sha256').update(id).digest().readBigUInt64LE() | 1n;
    const place = this.#placeOf(hash);
    if (this.#table[place] === hash) return false;
    this.#table[place] = hash;
    this.#count += 1;
    if (this.#count * 2 > this.#table.length) this.#grow();
    return true;
  }

  /** Where the hash is, or would be. */
  #placeOf(hash: bigint): number {
    const mask = this.#table.length - 1;
    let place = Number(hash >> 40n) & mask;
    while (this.#table[place] !== 0n && this.#table[place] !== hash) place = (place + 1) & mask;
    return place;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new BigUint64Array(old.length * 2);
    for (const hash of old) if (hash !== 0n) this.#table[this.#placeOf(hash)] = hash;
  }
}
