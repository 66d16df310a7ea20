/** The prediction against its closed forms, and against the schedule of visits that take one step each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateSchedule } from '../../src/schedule/generate.js';
import { predict } from '../../src/schedule/predict.js';
import { straight } from '../fixtures/route.js';

test('if every visit takes one step, the prediction is the length of the schedule', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 9 }),
      (m, workers, depth) => {
        const schedule = [...generateSchedule({ ...straight(workers.length, workers), depth }, m)];
        const stages = workers.map((count) => ({ seconds: 1, workers: count }));
        assert.equal(Math.max(...schedule.map(({ to }) => to)), predict(stages, m, depth).seconds);
      },
    ),
  );
});

test('with enough depth, the prediction is fill + m x slowest stage', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
      (m, times) => {
        const stages = times.map((seconds) => ({ seconds, workers: 1 }));
        const slowest = Math.max(...times);
        const fill = times.reduce((sum, time) => sum + time, 0) - slowest;
        assert.equal(predict(stages, m, m).seconds, fill + m * slowest);
      },
    ),
  );
});

test('if each micro-batch has its own times, the prediction is the longest path through two stages', () => {
  const times = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 })), { minLength: 1 });
  fc.assert(
    fc.property(times, (own) => {
      const m = own.length;
      const stages = [0, 1].map(() => ({ seconds: 1, workers: 1 }));
      const { seconds } = predict(stages, m, m, undefined, (j, i) => own[i]![j]!);
      // Johnson 1954: the first stage up to some micro-batch, the second from that one on.
      const ways = own.map((_, k) => own.reduce((sum, [a, b], i) => sum + (i <= k ? a : 0) + (i >= k ? b : 0), 0));
      assert.equal(seconds, Math.max(...ways));
    }),
  );
});

test('depth 1 is the sequential split: the plain sum', () => {
  const stages = [3, 5, 2].map((seconds) => ({ seconds, workers: 1 }));
  assert.equal(predict(stages, 7, 1).seconds, 70);
});

test('two workers on a stage halve it, and the bubble shows which stage waits', () => {
  const { seconds, bubbles } = predict(
    [
      { seconds: 1, workers: 1 },
      { seconds: 2, workers: 2 },
    ],
    100,
    8,
  );
  assert.equal(seconds, 102);
  assert.ok(bubbles.every((bubble) => bubble > 0 && bubble < 0.03));
});
