/** Counts as people write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCount } from '../../src/plan/count.js';

test('counts are whole, from 1 up to a bound', () => {
  assert.equal(parseCount('1', '--depth'), 1);
  assert.equal(parseCount('1000000', '--depth'), 1_000_000);
  for (const text of ['0', '-1', '1e3', '1.0', ' 2', '', '1000001', '0x10', 'NaN']) {
    assert.throws(() => parseCount(text, '--depth'), { code: 'TANDEM_USAGE' }, text);
  }
});
