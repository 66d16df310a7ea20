/** Statistics of repetitions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ENOUGH, estimate, holdsOne, ratioOf, spread } from '../../src/bench/statistics.js';
import { geometricMean } from '../../src/planner/measure/geometric-mean.js';
import { median } from '../../src/planner/measure/median.js';

const values = fc.array(fc.double({ min: 1e-3, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 30 });

test('the median has as many values below it as above', () => {
  fc.assert(
    fc.property(values, (all) => {
      const middle = median(all);
      const below = all.filter((value) => value < middle).length;
      const above = all.filter((value) => value > middle).length;
      assert.ok(below <= all.length / 2 && above <= all.length / 2);
    }),
  );
});

test('statistics do not depend on the order, and scale with the values', () => {
  fc.assert(
    fc.property(values, (all) => {
      const doubled = all.map((value) => 2 * value).toReversed();
      assert.equal(median(doubled), 2 * median(all));
      assert.ok(Math.abs(spread(doubled) - spread(all)) < 1e-9);
      assert.ok(Math.abs(geometricMean(doubled) / geometricMean(all) - 2) < 1e-9);
    }),
  );
});

test('the bounds are values, the median lies between them, and they are the outermost for few repetitions', () => {
  fc.assert(
    fc.property(values, (all) => {
      const { median: middle, low, high } = estimate(all);
      assert.ok(all.includes(low) && all.includes(high) && low <= middle && middle <= high);
      if (all.length <= ENOUGH) assert.deepEqual([low, high], [Math.min(...all), Math.max(...all)]);
    }),
  );
});

test('of as many repetitions as there are in printed tables, the bounds are those of the tables', () => {
  const places = (count: number) => estimate(Array.from({ length: count }, (_, n) => n)).low;
  // The sign test: the largest number of heads whose tail has 2.5 % at most.
  assert.deepEqual([5, 6, 8, 9, 11, 12, 15, 17, 20, 25].map(places), [0, 0, 0, 1, 1, 2, 3, 4, 5, 7]);
});

test('the bounds hold the true median as often as they promise, whatever the distribution', () => {
  let state = 7;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  // Now and then somebody else's work makes a repetition much longer; half of all lie below 1.
  const sample = () => Math.exp(((u) => (u < 0.5 ? u - 0.5 : 20 * (u - 0.5) ** 2))(uniform()));
  for (const count of [6, 9, 15]) {
    const takes = 4000;
    let held = 0;
    for (let take = 0; take < takes; take++) if (holdsOne(estimate(Array.from({ length: count }, sample)))) held += 1;
    assert.ok(held / takes > 0.94, `${count} repetitions: ${held / takes}`);
  }
});

test('a machine that changes its speed from round to round leaves a ratio as it is', () => {
  assert.deepEqual(ratioOf([20, 10, 40, 30], [10, 5, 20, 15]), { median: 2, low: 2, high: 2 });
  assert.ok(holdsOne(ratioOf([1, 4, 9], [1, 4, 9])));
  assert.ok(!holdsOne(ratioOf([2, 5, 10], [1, 4, 9])));
});
