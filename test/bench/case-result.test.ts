/** What is said of a case: overlap against the same slices run sequentially, and the hop between stages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overlapOf } from '../../src/bench/case-result.js';
import { hopOf } from '../../src/bench/hop.js';
import { steadyRateOf } from '../../src/planner/trial/trial.js';
import type { Span } from '../../src/timeline/spans.js';
import { madeCase } from './made-result.js';

test('two stages gain 1 + min/max at most, less for the rows that fill and empty them', () => {
  const sequential = madeCase({
    name: 'sequential',
    rate: 100,
    stages: [
      ['cpu', 0.01],
      ['cpu', 0.03],
    ],
  });
  const pipelined = madeCase({
    name: 'pipelined',
    rate: 130,
    stages: [
      ['cpu', 0.011],
      ['cpu', 0.033],
    ],
  });
  // 256 rows in micro-batches of 8: 32 of them, of which the first is alone in the first stage.
  const { speedUp, limit, idealSpeedUp, contention } = overlapOf(sequential, pipelined);
  assert.equal(speedUp, 1.3);
  assert.ok(Math.abs(limit - (1 + 1 / 3)) < 1e-12);
  assert.ok(Math.abs(idealSpeedUp - (32 * 0.04) / (0.01 + 32 * 0.03)) < 1e-12);
  assert.ok(Math.abs(contention - 1.1) < 1e-12);
});

function span(stage: number, readyAt: number, acceptedAt: number, finishedAt: number): Span {
  return { stage, worker: 0, microBatch: 0, rows: 1, readyAt, acceptedAt, finishedAt };
}

test('a hop begins when the micro-batch is ready and a worker is free, whichever is later', () => {
  const other = span(0, 0, 0, 9);
  const idleWorker = span(1, 100, 130, 200);
  const busyWorker = span(1, 150, 220, 300);
  assert.equal(hopOf([other, idleWorker], 1, 1), 30 / 1e6);
  assert.equal(hopOf([busyWorker, idleWorker, span(1, 150, 310, 400)], 1, 1), 20 / 1e6);
  // A second worker was free all the time.
  assert.equal(hopOf([idleWorker, busyWorker, span(1, 310, 311, 400)], 1, 2), 30 / 1e6);
  assert.equal(hopOf([], 1, 1), 0);
});

test('the steady rate is between the first end and the last, of all rows but the first that ended', () => {
  const ends = [300, 100, 200].map((at, microBatch) => ({ ...span(1, 0, at - 100, at), microBatch, rows: 8 }));
  assert.equal(steadyRateOf(ends, 24), 16 / 200e-6);
  assert.equal(steadyRateOf(ends.slice(0, 1), 8), null);
  assert.equal(steadyRateOf([], 0), null);
});
