/** Counts the threads of this process that hang in native code and could not be ended. */
import { TandemError } from '../errors.js';

let stuck = 0;

export function addStuckThread(): void {
  stuck += 1;
}

/** Whether `process.exit` would hang: it waits for all threads. */
export function hasStuckThreads(): boolean {
  return stuck > 0;
}

export function stuckInNativeCode(): TandemError {
  return new TandemError('TANDEM_STAGE_TIMEOUT', 'a worker hangs in native code, where a thread cannot be ended', {
    remedy: 'run with --isolation process: a process can always be ended and restarted',
  });
}
