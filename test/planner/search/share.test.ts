/** Shares by speed: replicas together come near the sum of their speeds, and each has a share. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { paceOfShares, shareMicroBatches } from '../../../src/planner/search/share.js';

test('replicas together come near the sum of their speeds if none is far behind', () => {
  const seconds = fc.array(fc.double({ min: 0.001, max: 0.01, noNaN: true }), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(seconds, (each) => {
      const shares = shareMicroBatches(each);
      assert.ok(shares.every((own) => Number.isInteger(own) && own >= 1));
      const ideal = 1 / each.reduce((sum, own) => sum + 1 / own, 0);
      const pace = paceOfShares(each, shares);
      assert.ok(pace >= ideal * (1 - 1e-9));
      assert.ok(pace <= ideal * 1.35, `${pace} for ${ideal} with ${shares}`);
    }),
    // A slow replica for which a round of whole shares of the others is too long.
    { examples: [[[0.001, 0.009566666666666668, 0.001, 0.001]], [[0.001, 0.001, 0.001, 0.01]]] },
  );
});

test('shares are whole multiples', () => {
  assert.deepEqual(shareMicroBatches([1, 1]), [1, 1]);
  assert.deepEqual(shareMicroBatches([1, 4]), [4, 1]);
  assert.deepEqual(shareMicroBatches([3, 2]), [2, 3]);
  assert.deepEqual(shareMicroBatches([1, 1000]), [23, 1]);
});
