/** Replicas: weighted round-robin is fixed, keeps the shares that are asked for, and spreads them evenly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { replicaAt, replicaGroupsOf } from '../../src/arena/replicas.js';

/** The round of replicas with these shares. */
const roundRobinOf = (shares: readonly number[]) =>
  replicaGroupsOf(shares.map((turns, n) => ({ turns, beside: n > 0 })))[0]!.roundRobin;

test('a round contains each replica as often as its share says, and every beginning of it is close to the shares', () => {
  const shares = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 4 });
  fc.assert(
    fc.property(shares, (each) => {
      const roundRobin = roundRobinOf(each);
      const round = roundRobin.length;
      const taken = each.map(() => 0);
      for (let i = 0; i < roundRobin.length; i++) {
        taken[replicaAt(roundRobin, i)]! += 1;
        for (const [n, share] of each.entries()) {
          assert.ok(Math.abs(taken[n]! - (share * (i + 1)) / round) < each.length);
        }
      }
      assert.deepEqual(taken, each);
      assert.equal(replicaAt(roundRobin, 7), replicaAt(roundRobin, 7 + 3 * roundRobin.length));
    }),
  );
});

test('the replica with the smaller share comes in the middle of the round, not at its end', () => {
  assert.deepEqual(roundRobinOf([4, 1]), [0, 0, 1, 0, 0]);
  assert.deepEqual(roundRobinOf([1, 1]), [0, 1]);
  assert.deepEqual(roundRobinOf([1, 3]), [1, 0, 1, 1]);
});

test('replicas are one group', () => {
  const replicaGroups = replicaGroupsOf([{}, { turns: 2 }, { beside: true }, { beside: true, turns: 1 }, {}]);
  assert.deepEqual(
    replicaGroups.map(({ stages, roundRobin }) => [stages, roundRobin]),
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
