/** A pool of threads that is ended, restarted and closed at any moment: every slot settles, and no thread stays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { Arena } from '../../src/arena/arena.js';
import { layOut } from '../../src/arena/layout.js';
import type { Slot } from '../../src/arena/slot.js';
import { TandemError } from '../../src/errors.js';
import { keyOf, slicesOf } from '../../src/model/slice.js';
import { Assignment, Failures } from '../../src/pool/assignment.js';
import { ThreadPool } from '../../src/pool/thread-pool.js';
import { chainGraph } from '../fixtures/chain.js';
import { straight } from '../fixtures/route.js';

/** More microtasks than ending a pool takes. */
const DELAYS = Array.from({ length: 30 }, (_, delay) => delay);
/** Longer than the test may take. */
const DEADLINE_MS = 600_000;

const [slice] = slicesOf(chainGraph(1), []);

function arenaOfOne(): Arena {
  const spec = { dtype: 'float32' as const, shape: [1, 4] };
  const steps = [{ stage: 0, pass: 0, pools: [0], slice: keyOf(slice!) }];
  const residents = [
    { ...spec, name: 'x', born: -1, last: 1 },
    { ...spec, name: 'y', born: 0, last: 1 },
  ];
  return new Arena(layOut(residents, { ...straight(1), steps }, 1));
}

async function openPool(arena: Arena): Promise<ThreadPool> {
  const options = { device: 'cpu', engine: 'custom' as const, engineOptions: { provider: 'ok', threads: 1 } };
  const pool = new ThreadPool({ ...options, workers: 1, deadlineMs: DEADLINE_MS });
  await pool.load([slice!]);
  await pool.attach(arena, 0);
  return pool;
}

async function yieldTimes(times: number): Promise<void> {
  for (let n = 0; n < times; n++) await Promise.resolve();
}

/** Blocks this thread until a worker has accepted the slot, at most 5 ms: an ended worker never does. */
function waitForAccept(slot: Slot): void {
  for (const end = performance.now() + 5; slot.state.state === 'READY' && performance.now() < end; );
}

test('a slot that a worker accepts while it is being ended fails or is computed, without waiting for the deadline', async () => {
  const arena = arenaOfOne();
  const pool = await openPool(arena);
  try {
    for (const delay of DELAYS) {
      const slot = await arena.claim();
      slot.tensors.setDims(arena.region('x'), [1, 4]);
      const restarted = pool.divide([]);
      await yieldTimes(delay);
      slot.publish(delay, 1);
      waitForAccept(slot);
      await new Promise<void>((resolve) => arena.whenSettled(slot, resolve));
      if (!slot.isDone) assert.equal(pool.failureOf(slot.index).code, 'TANDEM_STAGE_DIED');
      await restarted;
      arena.release(slot);
    }
  } finally {
    await pool.close();
  }
});

test('a pool that is closed while it is restarted leaves no thread behind', async () => {
  const living = new Set<Worker>();
  let started = 0;
  const watch = (worker: Worker) => {
    started += 1;
    living.add(worker);
    worker.once('exit', () => living.delete(worker));
  };
  process.on('worker', watch);
  try {
    for (const delay of DELAYS) {
      const pool = await openPool(arenaOfOne());
      const restarted = pool.divide([]).catch((error) => assert.equal(error.code, 'TANDEM_CLOSED'));
      await yieldTimes(delay);
      await pool.close();
      assert.equal(living.size, 0, `closed after ${delay} microtasks`);
      const before = started;
      await restarted;
      assert.deepEqual([started, living.size], [before, 0], `started after it was closed after ${delay} microtasks`);
    }
  } finally {
    process.off('worker', watch);
  }
});

test('failing a held slot leaves it as it is if its worker has given it away meanwhile, and its neighbour fails', async () => {
  const residents = [{ name: 'x', dtype: 'float32' as const, shape: [1], born: -1, last: 2 }];
  const arena = new Arena(layOut(residents, straight(2), 2));
  for (const [n, slot] of arena.slots.entries()) {
    slot.claim();
    slot.publish(n, 1);
    slot.accept(0);
  }
  const failures = new Failures();
  const held = new Assignment(arena, 0).running;
  assert.equal(held.length, 2);
  const [given, kept] = arena.slots as [Slot, Slot];
  given.advance(0);
  given.accept(1);
  const reason = new TandemError('TANDEM_CLOSED', 'closed');
  assert.ok(failures.add(held, reason));
  assert.deepEqual(
    [given.state, kept.state].map(({ state, step }) => `${state} ${step}`),
    ['RUNNING 1', 'FAILED 0'],
  );
  assert.deepEqual([failures.take(given.index), failures.take(kept.index)], [undefined, reason]);
  assert.ok(!failures.add(held, reason));
});
