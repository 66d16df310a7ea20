/** The bell: no ring is missed, and nobody waits at one that is halted. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { BELL_WORDS, Bell } from '../../src/arena/bell.js';

const words = () => new Int32Array(new SharedArrayBuffer(4 * BELL_WORDS));
const bellModule = new URL('../../src/arena/bell.js', import.meta.url).href;

/** A thread that counts `rounds` changes of the shared number that the bell is rung for, and says which it saw. */
function listener(shared: Int32Array, number: Int32Array, rounds: number): Worker {
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.bellModule).then(({ Bell }) => {
      const bell = new Bell(workerData.shared);
      let last = 0;
      while (last < ${rounds} && !bell.halted) {
        const seen = bell.count;
        const now = Atomics.load(workerData.number, 0);
        if (now === last) bell.wait(seen);
        last = now;
      }
      parentPort.postMessage(last);
    });`;
  return new Worker(source, { eval: true, workerData: { shared, number, bellModule } });
}

test('arena/bell I1: what was changed before the ring is seen by whoever read the count before it looked', async () => {
  const [shared, number] = [words(), new Int32Array(new SharedArrayBuffer(4))];
  const bell = new Bell(shared);
  const rounds = 20_000;
  const worker = listener(shared, number, rounds);
  await once(worker, 'online');
  // The listener is somewhere between looking and sleeping at each of these.
  for (let round = 1; round <= rounds; round++) {
    Atomics.store(number, 0, round);
    bell.ring();
  }
  assert.deepEqual(await once(worker, 'message'), [rounds]);
});

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

test('arena/bell I2: who waits at a halted bell is sent home, and who comes later as well', async () => {
  const [shared, number] = [words(), new Int32Array(new SharedArrayBuffer(4))];
  const bell = new Bell(shared);
  const worker = listener(shared, number, 1);
  await once(worker, 'online');
  bell.halt();
  assert.deepEqual(await once(worker, 'message'), [0]);
  assert.ok(bell.halted);
  bell.wait(bell.count);
  bell.listen(() => assert.fail('nothing comes any more'));
});
