/** The bell: no ring is missed, and nobody waits at one that is halted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { BELL_WORDS, Bell } from '../../src/arena/bell.js';
import { memoryAt, type Place, sharedMemory } from '../../src/arena/memory.js';
import { clearSharedFile, closeSharedFile, openSharedFile } from '../../src/arena/shared-file.js';

const words = () => new Int32Array(new SharedArrayBuffer(4 * BELL_WORDS));
const bellModule = new URL('../../src/arena/bell.js', import.meta.url).href;
const memoryModule = new URL('../../src/arena/memory.js', import.meta.url).href;
const file = openSharedFile();
after(() => closeSharedFile(file));
const BYTES = 4096;
/** A doorbell that is not rung here. */
const NOBODY = -1;

/** Where the bell lies: as threads of one process share it, and as processes do. */
const PLACES: Record<string, () => Place> = {
  threads: () => ({ memory: sharedMemory(BYTES) }),
  processes: () => {
    clearSharedFile(file, BYTES);
    return { file, doorbell: NOBODY };
  },
};

function bellAt(place: Place): Bell {
  const { buffer, workers } = memoryAt(place, BYTES);
  return new Bell(new Int32Array(buffer, 64, BELL_WORDS), workers);
}

/** A thread that counts `rounds` changes of the shared number that the bell is rung for, and says which it saw. */
function listener(place: Place, number: Int32Array, rounds: number): Worker {
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    Promise.all([import(workerData.bellModule), import(workerData.memoryModule)]).then(([{ Bell, BELL_WORDS }, { memoryAt }]) => {
      const { buffer, workers } = memoryAt(workerData.place, ${BYTES});
      const bell = new Bell(new Int32Array(buffer, 64, BELL_WORDS), workers);
      let last = 0;
      while (last < ${rounds} && !bell.halted) {
        const seen = bell.count;
        const now = Atomics.load(workerData.number, 0);
        if (now === last) bell.wait(seen);
        last = now;
      }
      parentPort.postMessage(last);
    });`;
  return new Worker(source, { eval: true, workerData: { place, number, bellModule, memoryModule } });
}

for (const [sharers, placed] of Object.entries(PLACES)) {
  test(`arena/bell I1, ${sharers}: what was changed before the ring is seen by whoever read the count before it looked`, async () => {
    const [place, number] = [placed(), new Int32Array(new SharedArrayBuffer(4))];
    const bell = bellAt(place);
    const rounds = 20_000;
    const worker = listener(place, number, rounds);
    await once(worker, 'online');
    // The listener is somewhere between looking and sleeping at each of these.
    for (let round = 1; round <= rounds; round++) {
      Atomics.store(number, 0, round);
      bell.ring();
    }
    assert.deepEqual(await once(worker, 'message'), [rounds]);
  });

  test(`arena/bell I2, ${sharers}: who waits at a halted bell is sent home, and who comes later as well`, async () => {
    const [place, number] = [placed(), new Int32Array(new SharedArrayBuffer(4))];
    const bell = bellAt(place);
    const worker = listener(place, number, 1);
    await once(worker, 'online');
    bell.halt();
    assert.deepEqual(await once(worker, 'message'), [0]);
    assert.ok(bell.halted);
    bell.wait(bell.count);
    bell.listen(() => assert.fail('nothing comes any more'));
  });

  test(`${sharers}: a thread that waits at a bell can be ended`, async () => {
    const worker = listener(placed(), new Int32Array(new SharedArrayBuffer(4)), 1);
    await once(worker, 'online');
    await worker.terminate();
  });
}

test('arena/bell I1: the same for who listens: after the rings of other threads, and within those of its own', async () => {
  const [shared, number] = [words(), new Int32Array(new SharedArrayBuffer(4))];
  const bell = new Bell(shared);
  const rounds = 2000;
  let heard = 0;
  const seenLast = new Promise<void>((resolve) => {
    bell.listen(() => {
      heard += 1;
      if (Atomics.load(number, 0) === rounds) resolve();
    });
  });
  bell.ring();
  assert.equal(heard, 2);
  const source = `
    const { workerData: { shared, number, bellModule } } = require('node:worker_threads');
    import(bellModule).then(({ Bell }) => {
      const bell = new Bell(shared);
      for (let round = 1; round <= ${rounds}; round++) {
        Atomics.store(number, 0, round);
        bell.ring();
      }
    });`;
  const worker = new Worker(source, { eval: true, workerData: { shared, number, bellModule } });
  await Promise.all([seenLast, once(worker, 'exit')]);
});
