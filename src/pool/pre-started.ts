/** Pre-started pools: opened before the slices are known, so that their workers boot while the model is read. */
import { isDeepStrictEqual } from 'node:util';
import { closePools, type Isolation, openPools, type Pools } from './isolation.js';
import type { PoolOptions } from './pool.js';

export class PreStarted {
  readonly #what: readonly [Isolation, readonly PoolOptions[]];
  #pools: Promise<Pools> | null;

  /** `model` is the file that the workers read ahead. Errors are thrown by `take`. */
  constructor(isolation: Isolation, options: readonly PoolOptions[], model?: string) {
    this.#what = [isolation, options];
    this.#pools = openPools(isolation, model === undefined ? options : options.map((each) => ({ ...each, model })));
    // `take` throws the error.
    this.#pools.catch(() => {});
  }

  /** Returns these pools, once, if they match; else closes them and opens others. Errors as of `openPools`. */
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
