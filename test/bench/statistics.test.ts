/** Statistics of repetitions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { geometricMean, halvesApart, median, spread } from '../../src/bench/statistics.js';

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

test('what drifts between two takes in turn is seen in the halves, what drifts over the whole is not', () => {
  assert.equal(halvesApart([10, 12, 10, 12, 10, 12]), 2 / 11);
  assert.equal(halvesApart([10, 10, 11, 11, 12, 12]), 0);
  assert.equal(halvesApart([10, 12, 10]), null);
});
