/** The arena: back-pressure by slots, first come first served, and memory that engines take without a copy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { Arena } from '../../src/arena/arena.js';
import { layOut } from '../../src/arena/layout.js';
import type { Slot } from '../../src/arena/slot.js';
import { TandemError } from '../../src/errors.js';
import { straight } from '../fixtures/route.js';

const twoStages = () => layOut([{ name: 'x', dtype: 'float32', shape: [8], born: -1, last: 2 }], straight(2), 1);
const arenaOf = (slots: number) =>
  new Arena(layOut([{ name: 'x', dtype: 'float32', shape: [8], born: -1, last: 1 }], straight(1), slots));
const settled = (arena: Arena, slot: Slot) => new Promise<void>((resolve) => arena.whenSettled(slot, resolve));

test('claim waits while every slot is taken, and the oldest claim is served first', async () => {
  const arena = arenaOf(2);
  const [a, b] = [await arena.claim(), await arena.claim()];
  assert.notEqual(a.index, b.index);
  const served: string[] = [];
  const first = arena.claim().then((slot) => served.push(`first ${slot.index}`));
  const second = arena.claim().then((slot) => served.push(`second ${slot.index}`));
  await new Promise(setImmediate);
  assert.deepEqual(served, []);
  arena.release(b);
  await first;
  arena.release(a);
  await second;
  assert.deepEqual(served, [`first ${b.index}`, `second ${a.index}`]);
  assert.equal(b.state.state, 'FILLING');
});

test('closing rejects pending claims and ends pending waits, and a release after it changes nothing', async () => {
  const arena = arenaOf(1);
  const slot = await arena.claim();
  const reason = new TandemError('TANDEM_CLOSED', 'closed');
  const claim = arena.claim();
  slot.publish(0, 1);
  const waiting = settled(arena, slot);
  arena.close(reason);
  await waiting;
  await assert.rejects(claim, reason);
  await assert.rejects(arena.claim(), reason);
  // The memory may be released already, so the slot's state must not be read.
  arena.release(slot);
  assert.equal(slot.state.state, 'READY');
  await settled(arena, slot);
  assert.equal(arena.closed, reason);
});

test('slots do not touch each other', async () => {
  const arena = arenaOf(3);
  const region = arena.region('x');
  for (const slot of arena.slots) (slot.tensors.largest(region).data as Float32Array).fill(slot.index + 1);
  for (const slot of arena.slots) {
    slot.tensors.setDims(region, [8]);
    assert.deepEqual([...slot.tensors.at(region).data], new Array(8).fill(slot.index + 1));
    assert.equal(slot.state.state, 'FREE');
  }
});

test('a worker accepts the earliest micro-batch of its stage, and none once the stage is halted', () => {
  const arena = arenaOf(3);
  for (const [n, slot] of arena.slots.entries()) {
    slot.claim();
    slot.publish([8, 6, 7][n]!, 1);
  }
  assert.deepEqual(
    [1, 2].map((worker) => arena.accept(0, worker)!.microBatch),
    [6, 7],
  );
  arena.halt(0);
  assert.equal(arena.accept(0, 1), null);
});

test('an announcement wakes a sleeping worker, which accepts the slot once it is READY', async () => {
  const arena = new Arena(twoStages());
  const slot = await arena.claim();
  slot.publish(3, 1);
  slot.accept(0);
  assert.equal(slot.isComing(1), false);
  const { handle, layout } = arena;
  const source = `
    const { workerData: { module, handle, layout }, parentPort } = require('node:worker_threads');
    import(module).then(({ Arena }) => {
      const arena = new Arena(layout, handle);
      for (const wait of [true, false]) parentPort.postMessage(arena.accept(1, 7)?.microBatch ?? null);
    });`;
  const module = new URL('../../src/arena/arena.js', import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: { module, handle, layout } });
  await once(worker, 'online');
  slot.announce(0);
  assert.ok(slot.isComing(1));
  // The slot becomes READY long after the announcement: the worker has stopped watching and sleeps again.
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(slot.state, { state: 'RUNNING', step: 0 });
  slot.advance(0);
  assert.equal(slot.isComing(1), false);
  assert.deepEqual(await once(worker, 'message'), [3]);
  assert.ok(slot.isHeldBy(7, 1));
  arena.halt(1);
  assert.deepEqual(await once(worker, 'message'), [null]);
});

test('a slot in the last step is announced to no pool', async () => {
  const arena = arenaOf(1);
  const slot = await arena.claim();
  slot.publish(0, 1);
  slot.accept(0);
  slot.announce(0);
  assert.equal(slot.isComing(1), false);
});

test('whenSettled calls back when the slot is DONE, and at no step before', async () => {
  const arena = new Arena(twoStages());
  const slot = await arena.claim();
  slot.publish(0, 1);
  let isSettled = false;
  const waiting = settled(arena, slot).then(() => {
    isSettled = true;
  });
  slot.accept(0);
  slot.advance(0);
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
  assert.equal(isSettled, false);
  slot.accept(1);
  arena.advance(slot, 1);
  await waiting;
  await settled(arena, slot);
  assert.deepEqual(slot.state, { state: 'DONE', step: 0 });
});

test('the coordinator is not woken while a slot is READY for the first stage, and is woken when the last of them is accepted', async () => {
  const arena = arenaOf(5);
  for (const slot of arena.slots) {
    slot.claim();
    slot.publish(slot.index, 1);
  }
  let isSettled = false;
  const waiting = settled(arena, arena.slots[0]!).then(() => {
    isSettled = true;
  });
  arena.advance(arena.accept(0, 1)!, 0);
  for (let left = 4; left > 1; left--) {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    assert.equal(isSettled, false, `${left} are READY`);
    arena.accept(0, 1);
  }
  arena.accept(0, 1);
  await waiting;
});

test('nor is it woken while enough slots are READY for later stages', async () => {
  const arena = new Arena(layOut([{ name: 'x', dtype: 'float32', shape: [8], born: -1, last: 2 }], straight(2), 5));
  for (const slot of arena.slots) {
    slot.claim();
    slot.publish(slot.index, 1);
    arena.advance(arena.accept(0, 1)!, 0);
  }
  let isSettled = false;
  const waiting = settled(arena, arena.slots[0]!).then(() => {
    isSettled = true;
  });
  arena.advance(arena.accept(1, 2)!, 1);
  for (let left = 4; left > 2; left--) {
    arena.accept(1, 2);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    assert.equal(isSettled, false, `${left - 1} are READY`);
  }
  arena.accept(1, 2);
  await waiting;
});

test('a micro-batch that took long is reported at once', async () => {
  const arena = arenaOf(3);
  for (const slot of arena.slots) {
    slot.claim();
    slot.publish(slot.index, 1);
  }
  const slot = arena.accept(0, 1)!;
  slot.setRan(0, { worker: 1, loadedFrom: 1e6, acceptedAt: 1e6, finishedAt: 2e6 });
  arena.advance(slot, 0);
  await settled(arena, slot);
});

for (const when of ['before it comes', 'when it is there', 'before it is waited for'] as const) {
  test(`a slot fails at a stage that has been halted ${when}`, async () => {
    const arena = new Arena(twoStages());
    const slot = await arena.claim();
    slot.publish(0, 1);
    if (when === 'before it is waited for') arena.halt(1);
    const settling = when === 'before it is waited for' ? undefined : settled(arena, slot);
    slot.accept(0);
    if (when === 'before it comes') arena.halt(1);
    slot.advance(0);
    if (when === 'when it is there') arena.halt(1);
    await (settling ?? settled(arena, slot));
    assert.deepEqual(slot.state, { state: 'FAILED', step: 1 });
  });
}

test('each pool of a stage accepts its own micro-batches, and halting it fails only these', async () => {
  const route = { ...straight(1, [1, 1]), steps: [{ stage: 0, pass: 0, pools: [0, 1], slice: '' }] };
  const arena = new Arena(layOut([{ name: 'x', dtype: 'float32', shape: [8], born: -1, last: 1 }], route, 4));
  for (const [n, slot] of arena.slots.entries()) {
    slot.claim();
    slot.publish(n, 1);
  }
  assert.deepEqual(
    [arena.accept(1, 1)!.microBatch, arena.accept(0, 2)!.microBatch, arena.accept(1, 1)!.microBatch],
    [1, 0, 3],
  );
  arena.halt(0);
  const left = arena.slots[2]!;
  await new Promise<void>((resolve) => arena.whenSettled(left, resolve));
  assert.deepEqual(left.state, { state: 'FAILED', step: 0 });
  left.refill();
  left.publish(5, 1);
  assert.equal(arena.accept(1, 1), left);
  arena.halt(1);
});

test('a worker takes the smallest rank first, whatever the number of the micro-batch', () => {
  const arena = arenaOf(4);
  for (const [n, slot] of arena.slots.entries()) {
    slot.claim();
    slot.publish(n, 1, { rankOf: () => [2 ** 31 - 1, 7, 2 ** 31, 3][n]! });
  }
  const taken = arena.slots.map(() => arena.accept(0, 1)!.microBatch);
  // The third rank overflows, so it comes after the first.
  assert.deepEqual(taken, [3, 1, 0, 2]);
});

const stateful = (pools: readonly number[], workers: readonly number[]) => ({
  ...straight(1, workers),
  steps: [{ stage: 0, pass: 0, pools, slice: '', keepsState: true }],
});
const X = { name: 'x', dtype: 'float32', shape: [8], born: -1, last: 1 } as const;

test('if a stage keeps state, a group always goes to the same worker of the same pool, without a group any worker may take it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(11), { minLength: 1, maxLength: 40 }),
      (workers, groups) => {
        const arena = new Arena(layOut([X], stateful([...workers.keys()], workers), 1));
        const [slot] = arena.slots;
        const allWorkers = workers.flatMap((count, pool) =>
          Array.from({ length: count }, (_, workerIndex) => ({ pool, workerIndex })),
        );
        const of = new Map<number, object[]>();
        for (const [n, group] of groups.entries()) {
          slot!.claim();
          slot!.publish(n, 1, { group });
          const takers = allWorkers.filter(({ pool, workerIndex }) => slot!.readyFor(pool, workerIndex) !== null);
          assert.equal(takers.length, 1);
          assert.deepEqual(of.get(group) ?? takers, takers);
          of.set(group, takers);
          slot!.accept(0);
          slot!.advance(0);
          slot!.release();
        }
        slot!.claim();
        slot!.publish(0, 1);
        const takers = allWorkers.filter(({ pool, workerIndex }) => slot!.readyFor(pool, workerIndex) !== null);
        assert.equal(takers.length, workers[0], 'without a group any worker of the pool may take it');
      },
    ),
  );
});

test('a sleeping worker is woken for its own group though another one sleeps at the same wait queue', async () => {
  const arena = new Arena(layOut([X], stateful([0], [2]), 2));
  const source = `
    const { workerData: { module, handle, layout, workerIndex }, parentPort } = require('node:worker_threads');
    import(module).then(({ Arena }) => {
      const arena = new Arena(layout, handle);
      parentPort.postMessage('here');
      for (let slot; (slot = arena.accept(0, workerIndex, workerIndex)); ) {
        parentPort.postMessage([workerIndex, slot.microBatch]);
        arena.advance(slot, 0);
      }
    });`;
  const { handle, layout } = arena;
  const module = new URL('../../src/arena/arena.js', import.meta.url).href;
  const messages: unknown[] = [];
  const threads = [0, 1].map((workerIndex) => {
    const worker = new Worker(source, { eval: true, workerData: { module, handle, layout, workerIndex } });
    worker.on('message', (message) => messages.push(message));
    return worker;
  });
  while (messages.filter((message) => message === 'here').length < 2) await new Promise(setImmediate);
  // Long enough for both to sleep.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const groups = [1, 0, 0, 1, 1, 1, 0];
  for (const [n, group] of groups.entries()) {
    const slot = await arena.claim();
    slot.publish(n, 1, { group });
    await settled(arena, slot);
    arena.release(slot);
  }
  while (messages.length < 2 + groups.length) await new Promise(setImmediate);
  // Two threads have two ports, whose messages may overtake each other.
  const taken = (messages.slice(2) as [worker: number, microBatch: number][]).sort((a, b) => a[1] - b[1]);
  assert.deepEqual(
    taken,
    groups.map((group, n) => [group, n]),
  );
  arena.halt(0);
  await Promise.all(threads.map((worker) => once(worker, 'exit')));
});
