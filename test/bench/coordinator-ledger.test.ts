/** The coordinator's ledger: what the thread does between two micro-batches is charged to it; copying and the clock itself are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoordinatorLedger } from '../../src/bench/coordinator-ledger.js';

/** Microseconds that each reading of the clock takes. */
const READING = 5;

test('copying rows is in the mean, and apart from the median, which one slow micro-batch does not move', () => {
  let now = 1000;
  const ledger = new CoordinatorLedger(() => (now += READING));
  // The first holds what was done before it; of the others each copies for 40 µs.
  for (const [n, micros] of [900, 140, 140, 600, 140].entries()) {
    now += micros;
    ledger.enter((n + 1) * 40);
  }
  const cost = ledger.close(5 * 40, 2);
  assert.deepEqual({ own: cost.own, copy: cost.copy }, { own: (140 - 40) / 2, copy: 40 });
  assert.ok(Math.abs(cost.mean - (900 + 3 * 140 + 600) / 5 / 2) < READING, `${cost.mean}`);
});

test('a run without a micro-batch has cost nothing for any', () => {
  const cost = new CoordinatorLedger(() => 7).close(0, 2);
  assert.deepEqual(cost, { mean: 0, own: 0, copy: 0 });
});
