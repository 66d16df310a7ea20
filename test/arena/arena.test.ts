/** The arena: back-pressure by slots, first come first served, and memory that engines take without a copy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Arena } from '../../src/arena/arena.js';
import { layOut } from '../../src/arena/layout.js';
import type { Slot } from '../../src/arena/slot.js';
import { TandemError } from '../../src/errors.js';

const twoStages = () => layOut([{ name: 'x', dtype: 'float32', shape: [8], born: -1, last: 2 }], 2, 1);
const arenaOf = (slots: number) =>
  new Arena(layOut([{ name: 'x', dtype: 'float32', shape: [8], born: -1, last: 1 }], 1, slots));
const settled = (arena: Arena, slot: Slot) => new Promise<void>((resolve) => arena.whenSettled(slot, resolve));

test('claim waits while every slot is taken, and the longest waiter is served first', async () => {
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

test('whoever waits is told when it is closed, and what comes back counts no more', async () => {
  const arena = arenaOf(1);
  const slot = await arena.claim();
  const reason = new TandemError('TANDEM_CLOSED', 'closed');
  const claim = arena.claim();
  slot.publish(0, 1);
  const told = settled(arena, slot);
  arena.close(reason);
  await told;
  await assert.rejects(claim, reason);
  await assert.rejects(arena.claim(), reason);
  // Its memory may be gone, and with it the slot's state.
  arena.release(slot);
  assert.equal(slot.state.state, 'READY');
  await settled(arena, slot);
  assert.equal(arena.closed, reason);
});

test('slots do not touch each other', async () => {
  const arena = arenaOf(3);
  const region = arena.region('x');
  for (const slot of arena.slots) (slot.tensors.room(region).data as Float32Array).fill(slot.index + 1);
  for (const slot of arena.slots) {
    slot.tensors.setDims(region, [8]);
    assert.deepEqual([...slot.tensors.at(region).data], new Array(8).fill(slot.index + 1));
    assert.equal(slot.state.state, 'FREE');
  }
});

test('a worker is given the earliest micro-batch of its stage, and none once the stage is halted', () => {
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

test('a worker that sleeps is woken by an announcement, and given the slot when it is there', async () => {
  const arena = new Arena(twoStages());
  const slot = await arena.claim();
  slot.publish(3, 1);
  slot.accept(0);
  assert.equal(slot.isComing(1), false);
  const { place, layout } = arena;
  const source = `
    const { workerData: { module, place, layout }, parentPort } = require('node:worker_threads');
    import(module).then(({ Arena }) => {
      const arena = new Arena(layout, place);
      for (const wait of [true, false]) parentPort.postMessage(arena.accept(1, 7)?.microBatch ?? null);
    });`;
  const module = new URL('../../src/arena/arena.js', import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: { module, place, layout } });
  await once(worker, 'online');
  slot.announce(0);
  assert.ok(slot.isComing(1));
  // It comes long after the announcement: the worker has watched in vain and sleeps again.
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(slot.state, { state: 'RUNNING', stage: 0 });
  slot.advance(0);
  assert.equal(slot.isComing(1), false);
  assert.deepEqual(await once(worker, 'message'), [3]);
  assert.ok(slot.isHeldBy(7, 1));
  arena.halt(1);
  assert.deepEqual(await once(worker, 'message'), [null]);
});

test('nobody is told of a slot that comes out of the last stage', async () => {
  const arena = arenaOf(1);
  const slot = await arena.claim();
  slot.publish(0, 1);
  slot.accept(0);
  slot.announce(0);
  assert.equal(slot.isComing(1), false);
});

test('who waits for a slot to settle is told when it is done, and at no hop before', async () => {
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
  assert.deepEqual(slot.state, { state: 'DONE', stage: 0 });
});

test('the coordinator sleeps on while anything lies ready for the first stage, and is woken by whoever takes the last of that', async () => {
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
    assert.equal(isSettled, false, `${left} lie ready`);
    arena.accept(0, 1);
  }
  arena.accept(0, 1);
  await waiting;
});

test('it sleeps on as well while enough lies ready for later stages, who are the slower ones then', async () => {
  const arena = new Arena(layOut([{ name: 'x', dtype: 'float32', shape: [8], born: -1, last: 2 }], 2, 5));
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
    assert.equal(isSettled, false, `${left - 1} lie ready`);
  }
  arena.accept(1, 2);
  await waiting;
});

test('a micro-batch that has taken long is told of at once', async () => {
  const arena = arenaOf(3);
  for (const slot of arena.slots) {
    slot.claim();
    slot.publish(slot.index, 1);
  }
  const slot = arena.accept(0, 1)!;
  slot.setRan(0, { worker: 1, acceptedAt: 1e6, finishedAt: 2e6 });
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
    assert.deepEqual(slot.state, { state: 'FAILED', stage: 1 });
  });
}

test('each pool of a stage is given its own micro-batches, is halted alone, and is told of what is its own', async () => {
  const layout = layOut([{ name: 'x', dtype: 'float32', shape: [8], born: -1, last: 1 }], 1, 4, [[0, 1]]);
  const arena = new Arena(layout);
  for (const [n, slot] of arena.slots.entries()) {
    slot.claim();
    slot.publish(n, 1);
  }
  assert.deepEqual(
    [arena.accept(0, 1, 1)!.microBatch, arena.accept(0, 2, 0)!.microBatch, arena.accept(0, 1, 1)!.microBatch],
    [1, 0, 3],
  );
  arena.halt(0, 0);
  const left = arena.slots[2]!;
  await new Promise<void>((resolve) => arena.whenSettled(left, resolve));
  assert.deepEqual(left.state, { state: 'FAILED', stage: 0 });
  left.refill();
  left.publish(5, 1);
  assert.equal(arena.accept(0, 1, 1), left);
  arena.halt(0, 1);
});
