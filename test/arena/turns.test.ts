/** Turns: fixed, in the shares that are asked for, and spread evenly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { orderOf, sectionsOf, turnOf } from '../../src/arena/turns.js';

test('a round holds each as often as it has turns, and at no place of it is one far from its share', () => {
  const turns = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(turns, (each) => {
      const order = orderOf(each);
      const round = order.length;
      const taken = each.map(() => 0);
      for (let i = 0; i < order.length; i++) {
        taken[turnOf(order, i)]! += 1;
        for (const [n, share] of each.entries()) {
          assert.ok(Math.abs(taken[n]! - (share * (i + 1)) / round) < each.length);
        }
      }
      assert.deepEqual(taken, each);
      assert.equal(turnOf(order, 7), turnOf(order, 7 + 3 * order.length));
    }),
  );
});

test('the slow one of two comes in the middle of the round, not at its end', () => {
  assert.deepEqual(orderOf([4, 1]), [0, 0, 1, 0, 0]);
  assert.deepEqual(orderOf([1, 1]), [0, 1]);
  assert.deepEqual(orderOf([1, 3]), [1, 0, 1, 1]);
});

test('stages beside each other are one section', () => {
  const sections = sectionsOf([{}, { turns: 2 }, { beside: true }, { beside: true, turns: 1 }, {}]);
  assert.deepEqual(
    sections.map(({ stages, order }) => [stages, order]),
    [
      [[0], [0]],
      [
        [1, 2, 3],
        [0, 1, 2, 0],
      ],
      [[4], [0]],
    ],
  );
});
