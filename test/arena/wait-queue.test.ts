/** The wait queue: no notification is missed, and no thread waits at a halted one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type ArenaHandle, memoryAt, sharedMemory } from '../../src/arena/memory.js';
import { clearSharedFile, closeSharedFile, openSharedFile } from '../../src/arena/shared-file.js';
import { WAIT_QUEUE_WORDS, WaitQueue } from '../../src/arena/wait-queue.js';

const words = () => new Int32Array(new SharedArrayBuffer(4 * WAIT_QUEUE_WORDS));
const waitQueueModule = new URL('../../src/arena/wait-queue.js', import.meta.url).href;
const memoryModule = new URL('../../src/arena/memory.js', import.meta.url).href;
const file = openSharedFile();
after(() => closeSharedFile(file));
const BYTES = 4096;
/** A descriptor that these tests never notify. */
const NO_SOCKET = -1;

/** The memory of the wait queue: as threads of one process share it, and as processes do. */
const MEMORIES: Record<string, () => ArenaHandle> = {
  threads: () => ({ memory: sharedMemory(BYTES) }),
  processes: () => {
    clearSharedFile(file, BYTES);
    return { file, notifySocket: NO_SOCKET };
  },
};

function waitQueueAt(handle: ArenaHandle): WaitQueue {
  const { buffer, workers } = memoryAt(handle, BYTES);
  return new WaitQueue(new Int32Array(buffer, 64, WAIT_QUEUE_WORDS), workers);
}

/** A thread that waits until the shared number is `rounds`, and posts the last value that it saw. */
function listener(handle: ArenaHandle, number: Int32Array, rounds: number): Worker {
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    Promise.all([import(workerData.waitQueueModule), import(workerData.memoryModule)]).then(([{ WaitQueue, WAIT_QUEUE_WORDS }, { memoryAt }]) => {
      const { buffer, workers } = memoryAt(workerData.handle, ${BYTES});
      const waitQueue = new WaitQueue(new Int32Array(buffer, 64, WAIT_QUEUE_WORDS), workers);
      let last = 0;
      while (last < ${rounds} && !waitQueue.halted) {
        const seen = waitQueue.count;
        const now = Atomics.load(workerData.number, 0);
        if (now === last) waitQueue.wait(seen);
        last = now;
      }
      parentPort.postMessage(last);
    });`;
  return new Worker(source, { eval: true, workerData: { handle, number, waitQueueModule, memoryModule } });
}

for (const [sharers, open] of Object.entries(MEMORIES)) {
  test(`arena/wait-queue I1, ${sharers}: a change before the notification is seen by a waiter that read the count before it looked`, async () => {
    const [handle, number] = [open(), new Int32Array(new SharedArrayBuffer(4))];
    const waitQueue = waitQueueAt(handle);
    const rounds = 20_000;
    const worker = listener(handle, number, rounds);
    await once(worker, 'online');
    // The listener is somewhere between looking and sleeping at each of these.
    for (let round = 1; round <= rounds; round++) {
      Atomics.store(number, 0, round);
      waitQueue.notify();
    }
    assert.deepEqual(await once(worker, 'message'), [rounds]);
  });

  test(`arena/wait-queue I2, ${sharers}: halting ends all waits, present and later ones`, async () => {
    const [handle, number] = [open(), new Int32Array(new SharedArrayBuffer(4))];
    const waitQueue = waitQueueAt(handle);
    const worker = listener(handle, number, 1);
    await once(worker, 'online');
    waitQueue.halt();
    assert.deepEqual(await once(worker, 'message'), [0]);
    assert.ok(waitQueue.halted);
    waitQueue.wait(waitQueue.count);
    waitQueue.listen(() => assert.fail('a halted wait queue notifies nobody'));
  });

  test(`${sharers}: a thread that waits at a wait queue can be ended`, async () => {
    const worker = listener(open(), new Int32Array(new SharedArrayBuffer(4)), 1);
    await once(worker, 'online');
    await worker.terminate();
  });
}

test('arena/wait-queue I1: a listener is called after notifications of other threads, and within those of its own', async () => {
  const [shared, number] = [words(), new Int32Array(new SharedArrayBuffer(4))];
  const waitQueue = new WaitQueue(shared);
  const rounds = 2000;
  let calls = 0;
  const seenLast = new Promise<void>((resolve) => {
    waitQueue.listen(() => {
      calls += 1;
      if (Atomics.load(number, 0) === rounds) resolve();
    });
  });
  waitQueue.notify();
  assert.equal(calls, 2);
  const source = `
    const { workerData: { shared, number, waitQueueModule } } = require('node:worker_threads');
    import(waitQueueModule).then(({ WaitQueue }) => {
      const waitQueue = new WaitQueue(shared);
      for (let round = 1; round <= ${rounds}; round++) {
        Atomics.store(number, 0, round);
        waitQueue.notify();
      }
    });`;
  const worker = new Worker(source, { eval: true, workerData: { shared, number, waitQueueModule } });
  await Promise.all([seenLast, once(worker, 'exit')]);
});
