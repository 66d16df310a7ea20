/** Pools that are opened before it is known what they will load, so that their workers come up while the model is being read. */
import { isDeepStrictEqual } from 'node:util';
import { closePools, type Isolation, openPools, type Pools } from './isolation.js';
import type { PoolOptions } from './pool.js';

export class Standby {
  readonly #what: readonly [Isolation, readonly PoolOptions[]];
  #pools: Promise<Pools> | null;

  /** `model` is the file that the workers read ahead. Errors are told by `take`. */
  constructor(isolation: Isolation, options: readonly PoolOptions[], model?: string) {
    this.#what = [isolation, options];
    this.#pools = openPools(isolation, model === undefined ? options : options.map((each) => ({ ...each, model })));
    // Whoever takes them is told.
    this.#pools.catch(() => {});
  }

  /** These pools, once, where they are what is asked for; else others, and these end. Errors as of `openPools`. */
  async take(isolation: Isolation, options: readonly PoolOptions[]): Promise<Pools> {
    const pools = this.#pools;
    if (!pools || !isDeepStrictEqual(this.#what, [isolation, options])) {
      await this.close();
      return openPools(isolation, options);
    }
    this.#pools = null;
    return pools;
  }

  /** Ends the pools, unless they were taken. */
  async close(): Promise<void> {
    const pools = await this.#pools?.catch(() => null);
    this.#pools = null;
    if (pools) await closePools(pools);
  }
}
