/** Proportion: planning takes no more than its share of the job, whatever the job. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EFFORTS } from '../../src/planner/known-plans.js';
import { effortFor, mayTake, secondsFor } from '../../src/planner/proportion.js';

const seconds = fc.double({ min: 0, max: 1e6, noNaN: true });
const loadSeconds = fc.double({ min: 0.05, max: 100, noNaN: true });

test('planning takes no more than its share of the job', () => {
  fc.assert(
    fc.property(seconds, loadSeconds, (seconds, loadSeconds) => {
      const job = { seconds, loadSeconds };
      assert.ok(secondsFor(effortFor(job), job) <= seconds / 10);
      const withCard = { ...job, hasCard: true };
      assert.ok(secondsFor(effortFor(withCard), withCard) <= mayTake(withCard) && mayTake(withCard) <= seconds / 2);
    }),
  );
});

test('a longer job gets no less effort, and a model that loads longer no more', () => {
  const rank = (seconds: number, loadSeconds: number) => EFFORTS.indexOf(effortFor({ seconds, loadSeconds }));
  fc.assert(
    fc.property(seconds, seconds, loadSeconds, loadSeconds, (a, b, c, d) => {
      assert.ok(rank(Math.max(a, b), c) >= rank(Math.min(a, b), c));
      assert.ok(rank(a, Math.max(c, d)) <= rank(a, Math.min(c, d)));
    }),
  );
});

test('a job of a few seconds is not measured, a job of an hour is', () => {
  assert.equal(effortFor({ seconds: 2, loadSeconds: 0.2 }), 'quick');
  assert.equal(effortFor({ seconds: 30, loadSeconds: 0.5 }), 'tried');
  assert.equal(effortFor({ seconds: 30, loadSeconds: 0.5, roundSeconds: 0.4 }), 'quick', 'one trial takes seconds');
  assert.equal(effortFor({ seconds: 3600, loadSeconds: 2 }), 'measured');
});
