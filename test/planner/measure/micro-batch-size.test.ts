/** The size of micro-batches: the least that is about as fast as any, and never more than the job has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { leastAsFast, mostRows } from '../../../src/planner/measure/micro-batch-size.js';

test('what gains three in a hundred or less is not taken', () => {
  const rates = (...all: number[]) => leastAsFast([...all.entries()], ([, rate]) => rate)[0];
  assert.equal(rates(100, 102, 103), 0);
  assert.equal(rates(100, 104, 106), 1);
  assert.equal(rates(50, 100, 70), 1);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1 }), (all) => {
      const taken = rates(...all);
      assert.ok(all[taken]! >= Math.max(...all) * 0.97);
      assert.ok(all.slice(0, taken).every((rate) => rate < Math.max(...all) * 0.97));
    }),
  );
});

test('a micro-batch carries 64 MiB where most lives, one row at least, and no more than is asked', () => {
  assert.equal(mostRows([2 ** 20, 4 * 2 ** 20, null], 1024), 16);
  assert.equal(mostRows([2 ** 30], 1024), 1);
  assert.equal(mostRows([], 1024), 1024);
  assert.equal(mostRows([4], 10), 10);
});
