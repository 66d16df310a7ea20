/** Cooperative steps: a long computation that yields between its steps, so that signals and timers are served meanwhile. */
import { setImmediate } from 'node:timers/promises';

/** A computation that yields wherever it may be interrupted, and returns its result. */
export type CooperativeSteps<T> = Generator<void, T, void>;

/** Milliseconds of computing after which the event loop runs once. */
const LONGEST_MS = 20;

export function runToEnd<T>(steps: CooperativeSteps<T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

export async function runCooperatively<T>(steps: CooperativeSteps<T>): Promise<T> {
  for (let begun = performance.now(); ; ) {
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() - begun < LONGEST_MS) continue;
    await setImmediate();
    begun = performance.now();
  }
}
