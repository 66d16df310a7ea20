/** The time estimate of a whole job, from what a trial measured of its stages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultDepth, type Plan } from '../../src/plan/plan.js';
import { predict } from '../../src/schedule/predict.js';
import { timeEstimateOf, withStart } from '../../src/timeline/estimate.js';

const MICRO_BATCH = 4;

const stages = fc.array(
  fc.record({ seconds: fc.double({ min: 0.001, max: 1, noNaN: true }), workers: fc.integer({ min: 1, max: 3 }) }),
  { minLength: 1, maxLength: 4 },
);
const counts = fc.integer({ min: 1, max: 3000 });

/** A plan whose slowest stage set the pace in its trial, with no time spent outside the stages. */
function planOf(times: readonly { readonly seconds: number; readonly workers: number }[]): Plan {
  const interval = Math.max(...times.map(({ seconds, workers }) => seconds / workers));
  const range = { from: 0, to: 0 };
  return {
    stages: times.map(({ workers }) => ({
      device: 'cpu',
      engine: 'onnxruntime',
      provider: 'cpu',
      threads: 1,
      workers,
      layers: range,
      ops: range,
    })),
    microBatch: MICRO_BATCH,
    depth: defaultDepth(times),
    isolation: 'process',
    cutBy: 'measured',
    expected: {
      name: 'made up',
      rowsPerSecond: MICRO_BATCH / interval,
      bubble: 1 - times.reduce((all, { seconds, workers }) => all + seconds / workers / interval, 0) / times.length,
      lowerBound: 0,
      verified: true,
      stages: times.map(({ seconds }) => ({ seconds, bytes: 0, budget: null, utilisation: 1 })),
    },
  };
}

test('for a job of any length it is the time of the simulated pipeline, including filling and emptying', () => {
  fc.assert(
    fc.property(stages, counts, (times, m) => {
      const plan = planOf(times);
      const run = predict(times, m, plan.depth).seconds;
      const { seconds, rowsPerSecond } = timeEstimateOf(plan, m * MICRO_BATCH)!;
      // Jobs longer than those simulated may differ by the last, incomplete round of several workers.
      const round = Math.max(...times.map((each) => each.seconds));
      assert.ok(Math.abs(seconds - run) <= (m <= 1024 ? 1e-6 : round), `${seconds} of ${run}`);
      assert.ok(Math.abs(rowsPerSecond * seconds - m * MICRO_BATCH) < 1e-6 * m);
    }),
  );
});

test('stages of one worker each: m + n - 1 steps of equal stages', () => {
  const plan = planOf([1, 1, 1].map((seconds) => ({ seconds, workers: 1 })));
  assert.ok(Math.abs(timeEstimateOf(plan, 10 * MICRO_BATCH)!.seconds - 12) < 1e-9);
  const { seconds, bubble } = timeEstimateOf(plan, MICRO_BATCH)!;
  assert.ok(Math.abs(seconds - 3) < 1e-9);
  assert.ok(Math.abs(bubble - 2 / 3) < 1e-9, 'one micro-batch keeps one stage of three busy');
});

test('a longer job takes longer, and approaches the steady state', () => {
  fc.assert(
    fc.property(stages, counts, fc.integer({ min: 1, max: 5 }), (times, m, more) => {
      const plan = { ...planOf(times) };
      const [shorter, longer] = [m, m + more].map((count) => timeEstimateOf(plan, count * MICRO_BATCH)!);
      assert.ok(longer!.seconds > shorter!.seconds - 1e-9);
      assert.ok(timeEstimateOf(plan, 1e9)!.rowsPerSecond > plan.expected!.rowsPerSecond * 0.999);
      assert.ok(shorter!.rowsPerSecond <= plan.expected!.rowsPerSecond * (1 + 1e-9));
    }),
  );
});

test('the extra time of the first runs is added once, in proportion for a shorter job; a faster first run adds nothing', () => {
  const surplus = fc.double({ min: -1, max: 1, noNaN: true });
  fc.assert(
    fc.property(stages, counts, fc.integer({ min: 1, max: 40 }), surplus, (times, m, first, longer) => {
      const plan = planOf(times);
      const warm = (count: number) => timeEstimateOf(plan, count * MICRO_BATCH)!.seconds;
      const started = withStart(plan, [{ microBatches: first, seconds: warm(first) + longer }]);
      const added = timeEstimateOf(started, m * MICRO_BATCH)!.seconds - warm(m);
      const expected = Math.max(0, longer) * Math.min(1, m / first);
      assert.ok(Math.abs(added - expected) < 1e-9 * Math.max(1, warm(m)), `${added} of ${expected}`);
      assert.deepEqual(withStart(started, [{ microBatches: first, seconds: warm(first) + longer }]), started);
    }),
  );
});

test('a plan that was never measured, or a job without rows, has no estimate', () => {
  const { expected: _, ...unmeasured } = planOf([{ seconds: 1, workers: 1 }]);
  assert.equal(timeEstimateOf(unmeasured, 10), null);
  assert.equal(timeEstimateOf(planOf([{ seconds: 1, workers: 1 }]), 0), null);
});
