/** Bytes as people read them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes } from '../../src/cli/bytes.js';

test('three digits are enough, and bytes are whole', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [99.94 * 1024, '99.9 KiB'],
    [100 * 1024, '100 KiB'],
    [2 ** 20 - 1, '1.0 MiB'],
    [1.25 * 2 ** 30, '1.3 GiB'],
    [3 * 2 ** 50, '3072 TiB'],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
});
