/** 16-bit floats against IEEE 754's own definition. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BFLOAT16, FLOAT16, fromWord, infinityWord, type MiniFloat, toWord } from '../../src/rows/half-float.js';

const bothTypes: readonly [string, MiniFloat][] = [
  ['float16', FLOAT16],
  ['bfloat16', BFLOAT16],
];

test('known words', () => {
  assert.equal(toWord(1, FLOAT16), 0x3c00);
  assert.equal(toWord(-2, FLOAT16), 0xc000);
  assert.equal(toWord(65504, FLOAT16), 0x7bff);
  assert.equal(toWord(65519.999, FLOAT16), 0x7bff);
  assert.equal(toWord(65520, FLOAT16), 0x7c00);
  assert.equal(toWord(2 ** -24, FLOAT16), 1);
  assert.equal(toWord(2 ** -25, FLOAT16), 0, 'a tie at the bottom goes to even');
  assert.equal(toWord(-0, FLOAT16), 0x8000);
  assert.equal(fromWord(0x3555, FLOAT16), 0.333251953125);
  assert.equal(toWord(1, BFLOAT16), 0x3f80);
  assert.equal(toWord(3.140625, BFLOAT16), 0x4049);
  assert.equal(toWord(1e39, BFLOAT16), 0x7f80);
});

test('a double is rounded once, not through float32', () => {
  // Just above the tie between 1 and the next float16; as a float32 it would be the tie itself and go to even.
  assert.equal(toWord(1 + 2 ** -11 + 2 ** -40, FLOAT16), 0x3c01);
});

for (const [name, type] of bothTypes) {
  test(`${name}: every word comes back, NaN as NaN`, () => {
    for (let word = 0; word < 65536; word++) {
      const value = fromWord(word, type);
      assert.equal(Number.isNaN(value), (word & 0x7fff) > infinityWord(type));
      if (!Number.isNaN(value)) assert.equal(toWord(value, type), word);
    }
    assert(Number.isNaN(fromWord(toWord(Number.NaN, type), type)));
    assert.equal(fromWord(infinityWord(type), type), Number.POSITIVE_INFINITY);
  });

  test(`${name}: any number goes to the nearest word, and a tie to the even one`, () => {
    const largest = infinityWord(type) - 1;
    fc.assert(
      fc.property(fc.double({ noNaN: true, min: 0, max: fromWord(largest, type) }), (value) => {
        const word = toWord(value, type);
        const error = Math.abs(fromWord(word, type) - value);
        for (const other of [word - 1, word + 1].filter((n) => n >= 0 && n <= largest)) {
          const distance = Math.abs(fromWord(other, type) - value);
          assert(error < distance || (error === distance && word % 2 === 0));
        }
      }),
    );
  });
}
