/** Random numbers of one sequence: a function of the job's seed, the row and the choice, so that every run and every resumed run draws the same. */
import { createHash } from 'node:crypto';

export interface RandomKey {
  /** Of the job, or of the row where it gives its own. */
  readonly seed: number;
  /** Position of the row in the input; 0 where the row gives its own seed. */
  readonly row: number;
  /** Which of the `n` answers to the row, from 0. */
  readonly choice: number;
}

/**
 * Numbers in [0, 1) with 53 bits: xoshiro128** (Blackman, Vigna: "Scrambled linear pseudorandom number generators"), started with the SHA-256 of
 * the key.
 */
export class Random {
  readonly #state: Uint32Array;

  constructor({ seed, row, choice }: RandomKey) {
    const hash = createHash('sha256').update(`tandem generate ${seed} ${row} ${choice}`).digest();
    this.#state = Uint32Array.from({ length: 4 }, (_, n) => hash.readUInt32LE(4 * n));
    // The generator stands still where all bits are 0.
    this.#state[0]! |= 1;
  }

  /** The next number. */
  next(): number {
    const high = this.#word() >>> 5;
    const low = this.#word() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** 32 bits. */
  #word(): number {
    const s = this.#state;
    const result = Math.imul(rotated(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const shifted = (s[1]! << 9) >>> 0;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = rotated(s[3]!, 11);
    return result;
  }
}

function rotated(word: number, bits: number): number {
  return ((word << bits) | (word >>> (32 - bits))) >>> 0;
}
