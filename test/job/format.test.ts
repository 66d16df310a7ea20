/** Which format a path has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOf } from '../../src/job/format.js';

test('the extension tells, whatever its case', () => {
  assert.equal(formatOf('rows.jsonl'), 'jsonl');
  assert.equal(formatOf('a.b/rows.NDJSON'), 'jsonl');
  assert.equal(formatOf('rows.npy'), 'npy');
  assert.equal(formatOf('rows.Npz'), 'npz');
});

test('an explicit format wins, and a stream without one is JSONL', () => {
  assert.equal(formatOf('rows.jsonl', 'npy'), 'npy');
  assert.equal(formatOf('-'), 'jsonl');
  assert.equal(formatOf('-', 'npy'), 'npy');
});

test('what tells no format is a usage error', () => {
  for (const path of ['rows', 'rows.csv', 'rows.json', '.npy']) {
    assert.throws(() => formatOf(path), { code: 'TANDEM_USAGE', remedy: /\.jsonl, \.npy or \.npz/ });
  }
  assert.throws(() => formatOf('rows.npy', 'csv'), { code: 'TANDEM_USAGE', message: '"csv" is not a row format' });
  assert.throws(() => formatOf('rows.npy', 'constructor'), { code: 'TANDEM_USAGE' });
});
