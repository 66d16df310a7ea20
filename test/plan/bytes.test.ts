/** Bytes as people write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBytes } from '../../src/plan/bytes.js';

test('units of 1000 and of 1024, in any case, with or without a space and a point', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['512', 512],
    ['512B', 512],
    ['64kb', 64e3],
    ['500 MB', 5e8],
    ['1KiB', 1024],
    ['1.5MiB', 1.5 * 2 ** 20],
    ['6gib', 6 * 2 ** 30],
    [' 2 TiB ', 2 * 2 ** 40],
  ];
  for (const [text, bytes] of cases) assert.equal(parseBytes(text), bytes, text);
});

test('what is no amount of memory is refused with an example', () => {
  for (const text of ['', 'lots', '-1GiB', '6G', '1e9', '6GiB/s', '1.GiB', 'GiB', '1 000']) {
    assert.throws(() => parseBytes(text), {
      code: 'TANDEM_USAGE',
      message: `"${text}" is not an amount of memory`,
      remedy: 'write it like 6GiB or 512MB',
    });
  }
});
