/** Errors by code: all are counted, the first are kept, and long texts are cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ErrorCounts } from '../../src/report/error-counts.js';

test('the most frequent code comes first, with its first five rows', () => {
  const counts = new ErrorCounts();
  counts.add([{ index: 1, id: 'a', code: 'TANDEM_ROW_SHAPE', message: 'short' }]);
  for (let index = 2; index < 12; index++) counts.add([{ index, id: index, code: 'TANDEM_ROW_TYPE', message: 'text' }]);
  const [first, second] = counts.counts;
  assert.deepEqual([first!.code, first!.count], ['TANDEM_ROW_TYPE', 10]);
  assert.deepEqual(
    first!.examples.map(({ index }) => index),
    [2, 3, 4, 5, 6],
  );
  assert.deepEqual(second, { code: 'TANDEM_ROW_SHAPE', count: 1, examples: [{ index: 1, id: 'a', message: 'short' }] });
});

test('ids and messages of rows are shortened', () => {
  const counts = new ErrorCounts();
  counts.add([{ index: 0, id: 'i'.repeat(10_000), code: 'TANDEM_ROW_TYPE', message: 'm'.repeat(10_000) }]);
  const { id, message } = counts.counts[0]!.examples[0]!;
  assert.equal(String(id).length, 301);
  assert.equal(message.length, 301);
});
