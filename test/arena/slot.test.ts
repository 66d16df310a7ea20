/** The slot's life: each invariant and each line of its table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { Arena } from '../../src/arena/arena.js';
import { layOut } from '../../src/arena/layout.js';
import type { Slot } from '../../src/arena/slot.js';
import { TandemError } from '../../src/errors.js';
import { straight } from '../fixtures/route.js';

const STAGES = 2;
const layout = (rounds = 1) =>
  layOut(
    [
      { name: 'in', dtype: 'float32', shape: [4, 2], born: -1, last: 0 },
      { name: 'mid', dtype: 'int32', shape: [4, 3], born: 0, last: 1 },
      { name: 'out', dtype: 'float32', shape: [4, 1], born: 1, last: 2 },
    ],
    { ...straight(STAGES), rounds },
    2,
  );
const fresh = (rounds = 1) => new Arena(layout(rounds)).slots[0]!;
const at = (slot: Slot) => `${slot.state.state}(${slot.state.step})`;
const refuses = (change: () => unknown) =>
  assert.throws(change, (error) => error instanceof TandemError && error.code === 'TANDEM_INTERNAL');

test('all states in sequence: FREE, FILLING, READY and RUNNING in each stage, DONE, FREE', () => {
  const slot = fresh();
  const seen = [at(slot)];
  const step = (change: () => unknown) => {
    change();
    seen.push(at(slot));
  };
  step(() => slot.claim());
  step(() => slot.publish(7, 3));
  for (let stage = 0; stage < STAGES; stage++) {
    step(() => slot.accept(stage));
    step(() => slot.advance(stage));
  }
  step(() => slot.release());
  assert.deepEqual(seen, [
    'FREE(0)',
    'FILLING(0)',
    'READY(0)',
    'RUNNING(0)',
    'READY(1)',
    'RUNNING(1)',
    'DONE(0)',
    'FREE(0)',
  ]);
  assert.deepEqual([slot.microBatch, slot.rows], [7, 3]);
});

test('arena/slot I1: of two threads that accept the same slot, one is refused', async () => {
  const arena = new Arena(layout());
  const slot = arena.slots[0]!;
  // Both threads wait at the gate, so that they accept at the same instant, many times over.
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const rounds = 300;
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.arenaModule).then(({ Arena }) => {
      const slot = new Arena(workerData.layout, workerData.handle).slots[0];
      let won = 0;
      for (let round = 1; round <= ${rounds}; round++) {
        while (Atomics.load(workerData.gate, 0) < round);
        try { slot.accept(0); won++; } catch {}
        Atomics.add(workerData.gate, 1, 1);
        Atomics.notify(workerData.gate, 1);
      }
      parentPort.postMessage(won);
    });`;
  const arenaModule = new URL('../../src/arena/arena.js', import.meta.url).href;
  const workerData = { handle: arena.handle, layout: arena.layout, gate, arenaModule };
  const workers = [0, 1].map(() => new Worker(source, { eval: true, workerData }));
  const wins = Promise.all(
    workers.map(
      (worker) => new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject)),
    ),
  );
  for (let round = 1; round <= rounds; round++) {
    slot.claim();
    slot.publish(round, 1);
    Atomics.store(gate, 0, round);
    for (let arrived = Atomics.load(gate, 1); arrived < 2 * round; arrived = Atomics.load(gate, 1)) {
      await Atomics.waitAsync(gate, 1, arrived).value;
    }
    assert.equal(at(slot), 'RUNNING(0)');
    slot.fail(0);
    slot.release();
  }
  const [a, b] = await wins;
  assert.equal(a! + b!, rounds);
});

const CHANGES: Record<string, (slot: Slot, rounds: number) => unknown> = {
  claim: (slot) => assert.ok(slot.claim()),
  publish: (slot, rounds) => slot.publish(0, 1, { rounds }),
  accept0: (slot) => slot.accept(0),
  accept1: (slot) => slot.accept(1),
  advance0: (slot) => slot.advance(0),
  advance1: (slot) => slot.advance(1),
  fail0: (slot) => assert.ok(slot.fail(0)),
  fail1: (slot) => assert.ok(slot.fail(1)),
  strand0: (slot) => assert.ok(slot.strand(0)),
  strand1: (slot) => assert.ok(slot.strand(1)),
  refill: (slot) => slot.refill(),
  release: (slot) => slot.release(),
};
const TABLE: Record<string, Record<string, string>> = {
  'FREE(0)': { claim: 'FILLING(0)' },
  'FILLING(0)': { publish: 'READY(0)', release: 'FREE(0)' },
  'READY(0)': { accept0: 'RUNNING(0)', strand0: 'FAILED(0)' },
  'READY(1)': { accept1: 'RUNNING(1)', strand1: 'FAILED(1)' },
  'RUNNING(0)': { advance0: 'READY(1)', fail0: 'FAILED(0)' },
  'RUNNING(1)': { advance1: 'DONE(0)', fail1: 'FAILED(1)' },
  'FAILED(0)': { refill: 'FILLING(0)', release: 'FREE(0)' },
  'FAILED(1)': { refill: 'FILLING(0)', release: 'FREE(0)' },
  'DONE(0)': { refill: 'FILLING(0)', release: 'FREE(0)' },
};

test('arena/slot I2: any change that the table does not allow is refused and changes nothing, in one round or more', () => {
  for (const rounds of [1, 2, 3]) {
    const allowed = fc.array(fc.nat(), { maxLength: 60 });
    fc.assert(
      fc.property(allowed, fc.array(fc.constantFrom(...Object.keys(CHANGES)), { maxLength: 60 }), (picks, names) => {
        const slot = fresh(rounds);
        let round = 0;
        const change = (name: string) => {
          const before = at(slot);
          const again = before === 'RUNNING(1)' && name === 'advance1' && round + 1 < rounds;
          const expected = again ? 'READY(0)' : TABLE[before]![name];
          let refused = false;
          try {
            CHANGES[name]!(slot, rounds);
          } catch {
            refused = true;
          }
          if (again) round += 1;
          if (name === 'publish' && !refused) round = 0;
          assert.equal(refused, expected === undefined, `${name} from ${before}`);
          assert.equal(at(slot), expected ?? before);
          if (at(slot) !== 'FREE(0)' && at(slot) !== 'FILLING(0)') assert.equal(slot.round, round);
        };
        // Far along the table first, then anything.
        for (const pick of picks) {
          const changes = Object.keys(TABLE[at(slot)]!).filter((name) => !/^fail|^strand/.test(name));
          change(changes[pick % changes.length]!);
        }
        for (const name of names) change(name);
      }),
    );
  }
});

test('a slot makes as many rounds as it was published for, and records what ran in each', () => {
  const slot = fresh(3);
  slot.claim();
  slot.publish(5, 1, { rounds: 2 });
  const ran = [0, 1].map((round) =>
    [0, 1].map((step) => ({
      worker: 10 * round + step,
      loadedFrom: round + step / 8,
      acceptedAt: round + step / 4,
      finishedAt: round + step / 2,
    })),
  );
  for (const round of [0, 1]) {
    for (const step of [0, 1]) {
      assert.equal(slot.round, round);
      assert.equal(slot.readyFor(step), step);
      slot.accept(step);
      slot.setRan(step, ran[round]![step]!);
      assert.equal(slot.isLast(step), round === 1 && step === 1);
      slot.advance(step);
    }
  }
  assert.ok(slot.isDone);
  assert.deepEqual(
    [0, 1].map((round) => [0, 1].map((step) => slot.ran(step, round))),
    ran,
  );
});

test('arena/slot I3: a thread that accepts sees the bytes, dims and rows that were written before the slot was given away', async () => {
  const arena = new Arena(layout());
  const slot = arena.slots[1]!;
  const source = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.arenaModule).then(({ Arena }) => {
      const slot = new Arena(workerData.layout, workerData.handle).slots[1];
      while (slot.state.state !== 'READY');
      slot.accept(0);
      const { shape, data } = slot.tensors.at(workerData.layout.regions[0]);
      parentPort.postMessage({ shape, data: [...data], rows: slot.rows });
    });`;
  const arenaModule = new URL('../../src/arena/arena.js', import.meta.url).href;
  const worker = new Worker(source, {
    eval: true,
    workerData: { handle: arena.handle, layout: arena.layout, arenaModule },
  });
  const seen = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  slot.claim();
  const region = arena.region('in');
  (slot.tensors.largest(region).data as Float32Array).set([1, 2, 3, 4, 5, 6]);
  slot.tensors.setDims(region, [3, 2]);
  slot.publish(0, 3);
  assert.deepEqual(await seen, { shape: [3, 2], data: [1, 2, 3, 4, 5, 6], rows: 3 });
});

test('arena/slot I4: after a stage failed half-way the inputs are intact, and can be run again', () => {
  const arena = new Arena(layout());
  const slot = arena.slots[0]!;
  const [input, middle] = [arena.region('in'), arena.region('mid')];
  slot.claim();
  (slot.tensors.largest(input).data as Float32Array).fill(5);
  slot.tensors.setDims(input, [4, 2]);
  slot.publish(0, 4);
  slot.accept(0);
  slot.tensors.store(middle, { dtype: 'int32', shape: [4, 3], data: new Int32Array(12).fill(9) });
  slot.fail(0);
  slot.refill();
  slot.publish(0, 4);
  slot.accept(0);
  assert.deepEqual([...slot.tensors.at(input).data], new Array(8).fill(5));
});

test('what a stage ran, and which worker holds the slot, can be read by the next owner', () => {
  const slot = fresh();
  slot.claim();
  slot.publish(0, 1);
  assert.ok(slot.tryAccept(0, 7));
  assert.ok(!slot.tryAccept(0, 8));
  assert.deepEqual([slot.isHeldBy(7, 0), slot.isHeldBy(8, 0), slot.isHeldBy(7, 1)], [true, false, false]);
  const ran = [
    { worker: 7, loadedFrom: 1.25, acceptedAt: 1.5, finishedAt: 2 ** 45 + 0.5 },
    { worker: 9, loadedFrom: 2 ** 46, acceptedAt: 2 ** 46, finishedAt: 2 ** 47 },
  ];
  slot.setRan(0, ran[0]!);
  slot.advance(0);
  assert.ok(!slot.isHeldBy(7, 0));
  slot.accept(1);
  slot.setRan(1, ran[1]!);
  slot.advance(1);
  assert.deepEqual([slot.ran(0), slot.ran(1)], ran);
});

test('a result that its region was not laid out for is refused', () => {
  const arena = new Arena(layout());
  const region = arena.region('mid');
  for (const tensor of [
    { dtype: 'float32' as const, shape: [4, 3], data: new Float32Array(12) },
    { dtype: 'int32' as const, shape: [4, 4], data: new Int32Array(16) },
    { dtype: 'int32' as const, shape: [12], data: new Int32Array(12) },
  ]) {
    assert.throws(
      () => arena.slots[0]!.tensors.store(region, tensor),
      (error) => error instanceof TandemError && error.code === 'TANDEM_STAGE_FAILED',
    );
  }
  refuses(() => arena.slots[0]!.advance(0));
});
