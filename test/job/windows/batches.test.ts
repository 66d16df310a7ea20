/** The laws of micro-batches by length: every row once, within the budget, and little padding. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { batchesOf, type RowSize, tokensOf } from '../../../src/job/windows/batches.js';
import type { LengthPlan } from '../../../src/plan/length-plan.js';
import { raggedLengths } from '../../fixtures/ragged-lengths.js';

const sizesOf = (lengths: readonly number[]): RowSize[] => lengths.map((length) => ({ length, shape: String(length) }));

const lengthPlan = (given: Partial<LengthPlan>): LengthPlan => ({
  ...{ tokens: 1024, window: 1024, multiple: 4, padded: true, shortest: 1, longest: 512 },
  ...{ largest: [], meanRows: 1, meanTokens: 1 },
  ...given,
});

const anyPlan = fc
  .record({
    tokens: fc.integer({ min: 1, max: 2000 }),
    multiple: fc.constantFrom(1, 4, 8, 16),
    padded: fc.boolean(),
    inOrder: fc.boolean(),
  })
  .map((given) => lengthPlan(given.padded && !given.inOrder ? given : { ...given, padded: false, multiple: 1 }));
const anyLengths = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 });
const anyMost = fc.integer({ min: 1, max: 64 });

test('every row is in one batch, and the same rows make the same batches', () => {
  fc.assert(
    fc.property(anyLengths, anyPlan, anyMost, (lengths, plan, most) => {
      const batches = batchesOf(sizesOf(lengths), plan, most);
      const places = batches.flatMap((batch) => batch.places);
      assert.deepEqual(
        places.toSorted((a, b) => a - b),
        lengths.map((_, place) => place),
      );
      assert.deepEqual(batchesOf(sizesOf(lengths), plan, most), batches);
    }),
  );
});

test('no batch is over the budget or has too many rows, unless one row is', () => {
  fc.assert(
    fc.property(anyLengths, anyPlan, anyMost, (lengths, plan, most) => {
      for (const { places, length } of batchesOf(sizesOf(lengths), plan, most)) {
        assert.ok(places.length <= most);
        assert.ok(places.length === 1 || places.length * length <= plan.tokens, `${places.length} x ${length}`);
        for (const place of places) assert.ok(lengths[place]! <= length);
      }
    }),
  );
});

test('lengths are rounded up to the multiple, and no further', () => {
  fc.assert(
    fc.property(anyLengths, anyPlan, anyMost, (lengths, plan, most) => {
      for (const { places, length } of batchesOf(sizesOf(lengths), plan, most)) {
        const own = Math.max(...places.map((place) => lengths[place]!));
        assert.equal(length, Math.ceil(own / plan.multiple) * plan.multiple);
      }
    }),
  );
});

test('no row is padded beyond the longest: a model may have no more positions', () => {
  const batches = batchesOf(sizesOf([30, 29, 5]), lengthPlan({ longest: 30, tokens: 64 }), 8);
  assert.deepEqual(
    batches.map(({ length }) => length),
    [30, 8],
  );
});

test('rows that must not be padded share a batch with rows of their own shape only', () => {
  const shapes = fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })), { maxLength: 60 });
  fc.assert(
    fc.property(shapes, anyMost, (rows, most) => {
      const sizes = rows.map((dims) => ({ length: Math.max(...dims), shape: dims.join() }));
      for (const { places } of batchesOf(sizes, lengthPlan({ padded: false, multiple: 1 }), most)) {
        assert.equal(new Set(places.map((place) => sizes[place]!.shape)).size, 1);
      }
    }),
  );
});

test('rows that depend on their neighbours keep the order of the input', () => {
  fc.assert(
    fc.property(anyLengths, anyMost, (lengths, most) => {
      const plan = lengthPlan({ padded: false, multiple: 1, inOrder: true });
      const batches = batchesOf(sizesOf(lengths), plan, most);
      assert.deepEqual(
        batches.flatMap(({ places }) => places),
        lengths.map((_, place) => place),
      );
      for (const { places } of batches) assert.equal(new Set(places.map((place) => lengths[place])).size, 1);
    }),
  );
});

test('a text job sorted in windows of 1,024 rows has at most 5 % of padding', () => {
  const lengths = raggedLengths(8192, { median: 59, mean: 88, most: 512 });
  const sum = { own: 0, padded: 0 };
  for (let at = 0; at < lengths.length; at += 1024) {
    const sizes = sizesOf(lengths.slice(at, at + 1024));
    const { own, padded } = tokensOf(sizes, batchesOf(sizes, lengthPlan({}), 256));
    sum.own += own;
    sum.padded += padded;
  }
  const share = 1 - sum.own / sum.padded;
  assert.ok(share <= 0.05, `${(100 * share).toFixed(1)} %`);
  assert.ok(share > 0.01, 'rows were not padded at all');
});
