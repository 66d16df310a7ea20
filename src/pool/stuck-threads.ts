/** Threads of this process that did not end when they were told to. */

let stuck = 0;

export function addStuckThread(): void {
  stuck += 1;
}

/** Whether this process cannot exit by itself any more: `process.exit` waits for all threads. */
export function hasStuckThreads(): boolean {
  return stuck > 0;
}
