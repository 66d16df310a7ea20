/** A pool of rows workers as what is measured and planned beside the stages. */
import type { Preparing } from '../rows/preparing.js';
import type { RowsPool } from './rows-pool.js';

/** `prepareSome` prepares the first rows and keeps them. */
export function preparingOf(pool: RowsPool, what: string, prepareSome: () => Promise<void>): Preparing {
  let secondsPerRow: number | null = null;
  const usualThreads = pool.threads;
  return {
    ...{ what, usualThreads },
    get threads() {
      return pool.threads;
    },
    set threads(count) {
      if (pool.threads === 0) pool.log.begin();
      pool.threads = count;
    },
    get secondsPerRow() {
      return secondsPerRow;
    },
    get use() {
      return pool.log.use;
    },
    async measure() {
      // One at a time, so that what is timed is a thread that has a core to itself.
      pool.threads = 1;
      await prepareSome();
      secondsPerRow = pool.log.secondsPerRow;
      await pool.pause();
    },
  };
}
