/** The cores that planning may give to stages, where others are left to the threads that prepare rows. */
import { AsyncLocalStorage } from 'node:async_hooks';

const left = new AsyncLocalStorage<number>();

/** Runs `plan`, in which `readCores` is at most `cores`. */
export function withCores<T>(cores: number, plan: () => T): T {
  return left.run(cores, plan);
}

/** Infinity outside of `withCores`. */
export function mostCores(): number {
  return left.getStore() ?? Number.POSITIVE_INFINITY;
}
