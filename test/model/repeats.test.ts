/** Repeats: the longest stretch first, the shortest unit, begun where it is cheapest to cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Repeat, repeatsOf } from '../../src/model/repeats.js';

const free = () => 0;
const CASES: Record<string, [number, number, number][]> = {
  '': [],
  ABCD: [],
  'two are no repeat: ABCABC': [],
  EAAAAP: [[1, 1, 4]],
  ABABAB: [[0, 2, 3]],
  ABBABBABB: [[0, 3, 3]],
  XABABABABYCCCZ: [
    [1, 2, 4],
    [10, 1, 3],
  ],
  // What is left of a cycle stays a line of its own.
  ABCABCABCAB: [[0, 3, 3]],
  // The longer unit explains more than the shorter ones within it.
  AABAABAAB: [[0, 3, 3]],
};

for (const [title, expected] of Object.entries(CASES)) {
  test(`of ${title || 'nothing'}`, () => {
    const found = repeatsOf([...title.replace(/^.*: /, '')], free);
    assert.deepEqual(
      found.map(({ from, period, count }) => [from, period, count]),
      expected,
    );
  });
}

test('a cycle is parted where it costs least, even at the price of a unit', () => {
  const cost = (layer: number) => (layer % 3 === 2 ? 0 : 1);
  assert.deepEqual(repeatsOf([...'ABCABCABCABC'], cost), [{ from: 2, period: 3, count: 3 }]);
});

test('repeats are apart, in order, true, and of the shortest unit', () => {
  const property = fc.property(
    fc.array(fc.constantFrom('A', 'B', 'C'), { maxLength: 40 }),
    fc.array(fc.nat(3), { minLength: 40, maxLength: 40 }),
    (keys, costs) => {
      let end = 0;
      for (const repeat of repeatsOf(keys, (layer) => costs[layer]!)) {
        const { from, period, count } = repeat;
        assert.ok(from >= end && count >= 3);
        end = from + period * count;
        assert.ok(end <= keys.length);
        assert.equal(keys.slice(from, end).join(''), unit(keys, repeat).repeat(count));
        for (let shorter = 1; shorter < period; shorter++) {
          const isWhole = period % shorter === 0;
          const part = unit(keys, { from, period: shorter, count });
          assert.ok(!isWhole || part.repeat(period / shorter) !== unit(keys, repeat));
        }
      }
    },
  );
  fc.assert(property, { numRuns: 500, seed: 1 });
});

function unit(keys: readonly string[], { from, period }: Repeat): string {
  return keys.slice(from, from + period).join('');
}
