/** The set of custom_ids that were read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatchIds } from '../../../src/rows/json/batch-ids.js';

test('an id is new once, as in a Set', () => {
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

test('it grows and keeps all ids', () => {
  const ids = new BatchIds();
  for (let n = 0; n < 5000; n++) assert(ids.add(`request-${n}`));
  for (let n = 0; n < 5000; n++) assert(!ids.add(`request-${n}`));
});

test('ids beyond the bound are all accepted', () => {
  const ids = new BatchIds({ most: 2 });
  assert.deepEqual(
    ['a', 'b', 'c', 'c', 'a'].map((id) => ids.add(id)),
    [true, true, true, true, true],
  );
});
