/** Which format a path has. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOf } from '../../src/rows/format-of-path.js';

test('the format follows the extension, in either case', () => {
  assert.equal(formatOf('rows.jsonl'), 'jsonl');
  assert.equal(formatOf('a.b/rows.NDJSON'), 'jsonl');
  assert.equal(formatOf('rows.npy'), 'npy');
  assert.equal(formatOf('rows.csv.gz'), 'csv');
  assert.equal(formatOf('rows.tsv.zst'), 'tsv');
  assert.equal(formatOf('rows.Npz'), 'npz');
});

test('an explicit format wins, and a stream without one is JSONL', () => {
  assert.equal(formatOf('rows.jsonl', 'npy'), 'npy');
  assert.equal(formatOf('-'), 'jsonl');
  assert.equal(formatOf('-', 'npy'), 'npy');
});

test('an unknown format or extension is a usage error', () => {
  for (const path of ['rows', 'rows.dat', '.npy']) {
    assert.throws(() => formatOf(path), { code: 'TANDEM_USAGE', remedy: /\.jsonl, .*\.npz or \.safetensors/ });
  }
  assert.throws(() => formatOf('rows.npy', 'xml'), { code: 'TANDEM_USAGE', message: '"xml" is not a row format' });
  assert.throws(() => formatOf('rows.npy', 'constructor'), { code: 'TANDEM_USAGE' });
});
