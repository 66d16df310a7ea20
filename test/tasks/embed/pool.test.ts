/** Pooling, against the formulas written out, and the types that embeddings are given in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FLOAT16, fromWord } from '../../../src/rows/half-float.js';
import { normalise } from '../../../src/tasks/embed/after-model.js';
import { type ElementType, elementsOf, encode } from '../../../src/tasks/embed/element-type.js';
import { pool } from '../../../src/tasks/embed/pool.js';
import type { PoolingMode } from '../../../src/tasks/model-folder/pooling-settings.js';

/** Three tokens of two numbers. */
const TOKENS = { values: [1, -2, 3, 4, -5, 6], tokens: 3, width: 2 };
const pooled = (modes: readonly PoolingMode[], skipped = 0) => [
  ...pool(TOKENS, { modes, includePrompt: true }, skipped),
];

test('the six modes, and several after one another', () => {
  assert.deepEqual(pooled(['cls']), [1, -2]);
  assert.deepEqual(pooled(['lasttoken']), [-5, 6]);
  assert.deepEqual(pooled(['max']), [3, 6]);
  assert.deepEqual(pooled(['mean']), [-1 / 3, 8 / 3]);
  assert.deepEqual(pooled(['mean_sqrt_len_tokens']), [-1 / Math.sqrt(3), 8 / Math.sqrt(3)]);
  assert.deepEqual(pooled(['weightedmean']), [(1 + 6 - 15) / 6, (-2 + 8 + 18) / 6]);
  assert.deepEqual(pooled(['cls', 'max']), [1, -2, 3, 6]);
});

test('tokens of a prompt that do not count; positions stay those of the whole text', () => {
  assert.deepEqual(pooled(['cls'], 1), [3, 4]);
  assert.deepEqual(pooled(['mean'], 1), [-1, 5]);
  assert.deepEqual(pooled(['weightedmean'], 1), [(6 - 15) / 5, (8 + 18) / 5]);
  assert.deepEqual(pooled(['lasttoken'], 1), [-5, 6]);
});

const vector = fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: 1, maxLength: 20 });

function encoded(values: readonly number[], type: ElementType): number[] {
  const into: number[] = Array(elementsOf(type, values.length)).fill(0);
  encode(Float64Array.from(values), type, into);
  return into;
}

test('each type keeps what it says: halves, the sign, the cosine', () => {
  fc.assert(
    fc.property(vector, (values) => {
      const largest = Math.max(...values.map(Math.abs));
      const halves = encoded(values, 'f16').map((word) => fromWord(word, FLOAT16));
      for (const [n, half] of halves.entries())
        assert.ok(Math.abs(half - values[n]!) <= Math.abs(values[n]!) * 2 ** -11 + 2 ** -25);
      const bits = encoded(values, 'binary');
      for (const [n, value] of values.entries()) assert.equal((bits[n >> 3]! >> (7 - (n & 7))) & 1, value > 0 ? 1 : 0);
      const bytes = encoded(values, 'int8');
      assert.deepEqual(
        encoded(values, 'uint8').map((byte) => byte - 128),
        bytes,
      );
      for (const [n, byte] of bytes.entries()) {
        assert.ok(Number.isInteger(byte) && Math.abs(byte) <= 127);
        assert.ok(Math.abs((byte * largest) / 127 - values[n]!) <= largest / 254 + 1e-12);
      }
    }),
  );
});

test('length 1, and zeros stay zeros', () => {
  assert.deepEqual([...normalise(Float64Array.of(3, 4))], [0.6, 0.8]);
  assert.deepEqual([...normalise(Float64Array.of(0, 0))], [0, 0]);
});
