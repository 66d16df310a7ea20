/** What a hop cannot be faster than: the time that this machine takes to wake a sleeping thread. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

/** Milliseconds that the thread has slept: about as long as a stage waits for the one before it. */
const ASLEEP = 30;
const WAKES = 40;

const SLEEPER = `
  const { workerData, parentPort } = require('node:worker_threads');
  const count = new Int32Array(workerData, 0, 1);
  const times = new Float64Array(workerData, 8, 2);
  parentPort.postMessage('asleep');
  for (let seen = 0; ; seen = Atomics.load(count, 0)) {
    Atomics.wait(count, 0, seen);
    times[1] = Number(process.hrtime.bigint()) / 1e3;
  }`;

/** Microseconds from `Atomics.notify` in one thread to the next instruction in the other. */
export async function bareWake(): Promise<number[]> {
  const shared = new SharedArrayBuffer(24);
  const count = new Int32Array(shared, 0, 1);
  const times = new Float64Array(shared, 8, 2);
  const worker = new Worker(SLEEPER, { eval: true, workerData: shared });
  await once(worker, 'message');
  const taken: number[] = [];
  for (let wake = 0; wake < WAKES; wake++) {
    await sleep(ASLEEP);
    times[0] = Number(process.hrtime.bigint()) / 1e3;
    Atomics.add(count, 0, 1);
    Atomics.notify(count, 0);
    await sleep(ASLEEP);
    taken.push(times[1]! - times[0]!);
  }
  await worker.terminate();
  return taken;
}
