/** Numbers as text: short, exact, and the fast path equals the slow one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { float32Text } from '../../../src/output/json/float32-text.js';
import { TEXT_OF } from '../../../src/output/json/number-text.js';
import { shortestDecimal } from '../../../src/output/json/shortest-decimal.js';
import { BFLOAT16, FLOAT16, fromWord, toWord } from '../../../src/rows/half-float.js';

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

function fromBits(word: number): number {
  bits[0] = word;
  return float[0]!;
}

/** The slow reference: the shortest decimal between the midpoints to the neighbours. */
function slowText(value: number): string {
  float[0] = Math.abs(value);
  const word = bits[0]!;
  const magnitude = float[0]!;
  const below = (magnitude - fromBits(word - 1)) / 2;
  const next = fromBits(word + 1);
  const above = next === Number.POSITIVE_INFINITY ? below : (next - magnitude) / 2;
  const decimal = shortestDecimal(magnitude, { above, below, even: word % 2 === 0 }, 9);
  return String(value < 0 ? -decimal : decimal);
}

function assertText(value: number): void {
  const text = float32Text(value);
  assert(Object.is(Math.fround(JSON.parse(text)), value), `${text} is not ${value}`);
  if (value !== 0) assert.equal(text, slowText(value));
}

test('a float32 is written as a person would write it', () => {
  for (const [value, text] of [
    [0.1, '0.1'],
    [1 / 3, '0.33333334'],
    [16777216, '16777216'],
    [1e10, '10000000000'],
    [3.4028234663852886e38, '3.4028235e+38'],
    [1.401298464324817e-45, '1e-45'],
    [1.1754943508222875e-38, '1.1754944e-38'],
    [-2.5, '-2.5'],
    [9e9, '9000000000'],
    [-0, '-0'],
    [0, '0'],
  ] as const) {
    assert.equal(float32Text(Math.fround(value)), text);
  }
});

test('NaN and infinities are strings', () => {
  const data = Float32Array.of(Number.NaN, Number.NEGATIVE_INFINITY);
  assert.equal(TEXT_OF.float32(data, 0), '"NaN"');
  assert.equal(TEXT_OF.float32(data, 1), '"-Infinity"');
  assert.equal(TEXT_OF.float64(new Float64Array([Number.POSITIVE_INFINITY]), 0), '"Infinity"');
  assert.equal(TEXT_OF.float16(new Uint16Array([0x7e00]), 0), '"NaN"');
  assert.equal(TEXT_OF.bfloat16(new Uint16Array([0xff80]), 0), '"-Infinity"');
});

test('the shortest text of any float32 is read back to the same bits', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (word) => {
      const value = fromBits(word);
      if (Number.isFinite(value)) assertText(value);
    }),
    { numRuns: 20_000 },
  );
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), assertText), { numRuns: 5_000 });
});

test('short decimals keep their length', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999 }), fc.integer({ min: -30, max: 30 }), (digits, power) => {
      const decimal = Number(`${digits}e${power}`);
      assert.equal(float32Text(Math.fround(decimal)), String(decimal));
    }),
    { numRuns: 5_000 },
  );
});

test('powers of two and of ten, and their neighbours', () => {
  const words = new Set<number>();
  for (let exponent = 1; exponent < 255; exponent++) for (const step of [-1, 0, 1]) words.add((exponent << 23) + step);
  for (let power = -44; power < 39; power++) {
    float[0] = Number(`1e${power}`);
    const word = bits[0]!;
    for (let step = -20; step <= 20; step++) words.add(Math.max(1, word + step));
  }
  for (const word of words) assertText(fromBits(word));
});

test('at a power of two the wider upper side is used', () => {
  // The spacing is 1024 above 2^33 and 512 below. With seven digits the nearest decimal, below, is too far; the next one, above, is not.
  assert.equal(float32Text(2 ** 33), '8589935000');
  assert.equal(Math.fround(8589935000), 2 ** 33);
  assert.notEqual(Math.fround(8589934000), 2 ** 33);
});

for (const [dtype, type, digits] of [
  ['float16', FLOAT16, 5],
  ['bfloat16', BFLOAT16, 4],
] as const) {
  test(`${dtype}: every word is read back from its text`, () => {
    const data = Uint16Array.from({ length: 65536 }, (_, word) => word);
    for (const word of data) {
      if (!Number.isFinite(fromWord(word, type))) continue;
      const text = TEXT_OF[dtype](data, word);
      assert.equal(toWord(JSON.parse(text), type), word, text);
      assert(text.replace(/e.*|[-.]/g, '').replace(/^0+|0+$/g, '').length <= digits, text);
    }
    assert.equal(TEXT_OF[dtype](Uint16Array.of(toWord(0.1, type)), 0), '0.1');
  });
}

test('whole numbers and bools are exact', () => {
  assert.equal(TEXT_OF.int64(BigInt64Array.of(-9223372036854775808n), 0), '-9223372036854775808');
  assert.equal(TEXT_OF.uint64(BigUint64Array.of(18446744073709551615n), 0), '18446744073709551615');
  assert.equal(TEXT_OF.int8(Int8Array.of(-128), 0), '-128');
  assert.equal(TEXT_OF.bool(Uint8Array.of(1), 0), 'true');
  assert.equal(TEXT_OF.float64(Float64Array.of(0.1), 0), '0.1');
});
