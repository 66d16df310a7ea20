/** A bench against an older one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare } from '../../src/bench/compare.js';
import { madeCase, madeResult } from './made-result.js';

const result = (rate: number, spread = 0.01) =>
  madeResult([madeCase({ name: 'whole', rate: 100 }), madeCase({ name: 'split', rate, spread })]);

test('what lies within the noise is the same; beyond it is slower or faster', () => {
  const verdicts = (before: number, now: number, spread?: number) =>
    compare(result(before, spread), result(now, spread)).cases.map(({ verdict }) => verdict);
  assert.deepEqual(verdicts(100, 97), ['same', 'same']);
  assert.deepEqual(verdicts(100, 94), ['same', 'slower']);
  assert.deepEqual(verdicts(100, 106), ['same', 'faster']);
  assert.deepEqual(verdicts(100, 94, 0.04), ['same', 'same']);
});

test('only a case that is slower makes the comparison fail', () => {
  assert.equal(compare(result(100), result(80)).slower, true);
  assert.equal(compare(result(80), result(100)).slower, false);
});

test('cases and machines that do not match are reported', () => {
  const now = { ...result(100), machine: { ...result(100).machine, cores: 4 } };
  const other = madeResult([madeCase({ name: 'whole', rate: 100 }), madeCase({ name: 'old one', rate: 9 })]);
  const { unmatched, differences, cases } = compare(other, now);
  assert.deepEqual(
    cases.map(({ name }) => name),
    ['whole'],
  );
  assert.deepEqual(unmatched, ['split', 'old one']);
  assert.deepEqual(differences, ['cores: 2, now 4']);
});
