/** The joined checksum of two byte strings equals the checksum of their concatenation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { joinedCrc } from '../../../src/output/npz/joined-crc.js';

test('joined checksums equal the checksum of zlib of the concatenated bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 3000 }), (first, second) => {
      const whole = crc32(Buffer.concat([first, second]));
      assert.equal(joinedCrc(crc32(first), crc32(second), second.length), whole);
    }),
  );
});

test('for data larger than memory: a gigabyte of zeros, 2^13 times', () => {
  // Joined one gigabyte at a time, or all at once.
  const gigabyte = 2 ** 30;
  const zeros = Array.from({ length: 10 }).reduce<number>(
    (crc, _, n) => joinedCrc(crc, crc, 2 ** (20 + n)),
    crc32(Buffer.alloc(2 ** 20)),
  );
  const times = 2 ** 13;
  let slow = crc32(Buffer.from('head'));
  for (let n = 0; n < times; n++) slow = joinedCrc(slow, zeros, gigabyte);
  let all = zeros;
  for (let n = 1; n < times; n *= 2) all = joinedCrc(all, all, n * gigabyte);
  assert.equal(joinedCrc(crc32(Buffer.from('head')), all, times * gigabyte), slow);
});
