/** Turns by speed: never far from what devices could do together, and everybody has one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { paceInTurns, shareTurns } from '../../src/plan/share-turns.js';

test('together they come near the sum of their speeds where none is far behind', () => {
  const seconds = fc.array(fc.double({ min: 0.001, max: 0.01, noNaN: true }), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(seconds, (each) => {
      const turns = shareTurns(each);
      assert.ok(turns.every((own) => Number.isInteger(own) && own >= 1));
      const ideal = 1 / each.reduce((sum, own) => sum + 1 / own, 0);
      const pace = paceInTurns(each, turns);
      assert.ok(pace >= ideal * (1 - 1e-9));
      assert.ok(pace <= ideal * 1.35, `${pace} for ${ideal} with ${turns}`);
    }),
    // A slow one for which a round of the others' whole shares is too long.
    { examples: [[[0.001, 0.009566666666666668, 0.001, 0.001]], [[0.001, 0.001, 0.001, 0.01]]] },
  );
});

test('by whole multiples', () => {
  assert.deepEqual(shareTurns([1, 1]), [1, 1]);
  assert.deepEqual(shareTurns([1, 4]), [4, 1]);
  assert.deepEqual(shareTurns([3, 2]), [2, 3]);
  assert.deepEqual(shareTurns([1, 1000]), [23, 1]);
});
