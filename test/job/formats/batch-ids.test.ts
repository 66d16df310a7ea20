/** Which of many custom_ids have been there before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatchIds } from '../../../src/job/formats/batch-ids.js';

test('an id is new once, as a set has it', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('', 'a', '0')), { maxLength: 200 }), (ids) => {
      const known = new Set<string>();
      const found = new BatchIds();
      for (const id of ids) {
        assert.equal(found.add(id), !known.has(id));
        known.add(id);
      }
    }),
  );
});

test('it grows and forgets none', () => {
  const ids = new BatchIds();
  for (let n = 0; n < 5000; n++) assert(ids.add(`request-${n}`));
  for (let n = 0; n < 5000; n++) assert(!ids.add(`request-${n}`));
});

test('past its bound it lets all pass', () => {
  const ids = new BatchIds({ most: 2 });
  assert.deepEqual(
    ['a', 'b', 'c', 'c', 'a'].map((id) => ids.add(id)),
    [true, true, true, true, true],
  );
});
