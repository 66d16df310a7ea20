/** Whole numbers in words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { grouped } from '../src/grouped-digits.js';

test('any whole number is written as Intl writes it in English', () => {
  fc.assert(fc.property(fc.maxSafeInteger(), (count) => assert.equal(grouped(count), count.toLocaleString('en'))));
});
