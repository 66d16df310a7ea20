/** The size of micro-batch that two timings suggest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { enoughRows } from '../../../src/planner/trial/first-pace.js';

const timed = (fixed: number, perRow: number, few: number) => ({
  ...{ one: fixed + perRow, few },
  seconds: fixed + few * perRow,
});

test('a model whose rows cost much gets the rows that were timed, one whose calls cost much gets the most', () => {
  assert.equal(enoughRows(timed(0.001, 0.013, 4), 32), 4);
  assert.equal(enoughRows(timed(0.001, 0.000_01, 4), 32), 32);
  assert.equal(enoughRows(timed(0.001, 0.001, 4), 32), 16);
});

test('the fixed cost is a small share of the time, or the size is the largest; half as many rows would not do', () => {
  const seconds = fc.double({ min: 1e-6, max: 1, noNaN: true });
  fc.assert(
    fc.property(seconds, seconds, fc.constantFrom(2, 4, 8), (fixed, perRow, few) => {
      const rows = enoughRows(timed(fixed, perRow, few), 64);
      const share = (of: number) => fixed / (fixed + of * perRow);
      assert.ok(rows >= few && rows <= 64);
      assert.ok(rows === 64 || share(rows) < 0.081);
      assert.ok(rows === few || share(rows / 2) > 0.079);
    }),
  );
});

test('timings that contradict each other suggest nothing', () => {
  assert.equal(enoughRows({ one: 0.01, few: 4, seconds: 0.009 }, 32), 32);
});
