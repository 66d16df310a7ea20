/** Reading ahead: in order, within the bound, and with failures in their place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { Ahead } from '../../src/tasks/ahead.js';

/** Steps of these weights; the result of each is its number. `begun` counts those that were begun. */
function steps(weights: readonly number[], failAt = Number.POSITIVE_INFINITY) {
  const state = { begun: 0 };
  const begin = async () => {
    await setImmediate();
    const n = state.begun;
    if (n === failAt) throw new Error(`step ${n}`);
    if (n === weights.length) return null;
    state.begun += 1;
    return { weight: weights[n]!, result: setImmediate(n) };
  };
  return { state, begin };
}

test('every result comes, in order, and no more is begun than the bound lets', async () => {
  const arbitrary = fc.tuple(
    fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 30 }),
    fc.integer({ min: 1, max: 20 }),
  );
  await fc.assert(
    fc.asyncProperty(arbitrary, async ([weights, most]) => {
      const { state, begin } = steps(weights);
      const ahead = new Ahead({ begin, most });
      for (let n = 0; n < weights.length; n++) {
        assert.equal(await ahead.take(), n);
        for (let turn = 0; turn < 4; turn++) await setImmediate();
        const waiting = weights.slice(n + 1, state.begun);
        // The last one is begun below the bound.
        assert.ok(waiting.slice(0, -1).reduce((sum, weight) => sum + weight, 0) < most, `${waiting} of ${most}`);
      }
      assert.equal(await ahead.take(), null);
      assert.equal(await ahead.take(), null);
    }),
    { numRuns: 50 },
  );
});

test('a failure comes after the results before it', async () => {
  const { begin } = steps([1, 1, 1, 1], 2);
  const ahead = new Ahead({ begin, most: 10 });
  assert.equal(await ahead.take(), 0);
  assert.equal(await ahead.take(), 1);
  await assert.rejects(ahead.take(), { message: 'step 2' });
});

test('once stopped, nothing is begun, and waiting calls settle', async () => {
  const gate: { open?: () => void } = {};
  const closed = new Promise<void>((resolve) => {
    gate.open = resolve;
  });
  let begun = 0;
  const ahead = new Ahead<number>({
    begin: async () => {
      begun += 1;
      await closed;
      return { weight: 1, result: Promise.resolve(7) };
    },
    most: 5,
  });
  const waiting = ahead.take();
  const stopped = ahead.stop();
  assert.equal(await waiting, null);
  gate.open!();
  await stopped;
  assert.equal(begun, 1);
});
