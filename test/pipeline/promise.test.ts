/** The promise: the time of a whole job, from what was seen of its stages in a trial. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { promiseOf, withStart } from '../../src/pipeline/promise.js';
import { predict } from '../../src/pipeline/schedule.js';
import { defaultDepth, type Plan } from '../../src/plan/plan.js';

const MICRO_BATCH = 4;

const stages = fc.array(
  fc.record({ seconds: fc.double({ min: 0.001, max: 1, noNaN: true }), workers: fc.integer({ min: 1, max: 3 }) }),
  { minLength: 1, maxLength: 4 },
);
const counts = fc.integer({ min: 1, max: 3000 });

/** A plan whose trial has found its slowest stage to set the pace, and nothing beside the stages to take time. */
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

test('for a job of any length it is the run of the pipeline, filling and emptying taken in', () => {
  fc.assert(
    fc.property(stages, counts, (times, m) => {
      const plan = planOf(times);
      const run = predict(times, m, plan.depth).seconds;
      const { seconds, rowsPerSecond } = promiseOf(plan, m * MICRO_BATCH)!;
      // What the last round of several workers lacks of a whole one is all that can differ in a job that is longer than those simulated.
      const round = Math.max(...times.map((each) => each.seconds));
      assert.ok(Math.abs(seconds - run) <= (m <= 1024 ? 1e-6 : round), `${seconds} of ${run}`);
      assert.ok(Math.abs(rowsPerSecond * seconds - m * MICRO_BATCH) < 1e-6 * m);
    }),
  );
});

test('stages of one worker each: m + n - 1 steps of equal stages', () => {
  const plan = planOf([1, 1, 1].map((seconds) => ({ seconds, workers: 1 })));
  assert.ok(Math.abs(promiseOf(plan, 10 * MICRO_BATCH)!.seconds - 12) < 1e-9);
  const { seconds, bubble } = promiseOf(plan, MICRO_BATCH)!;
  assert.ok(Math.abs(seconds - 3) < 1e-9);
  assert.ok(Math.abs(bubble - 2 / 3) < 1e-9, 'one micro-batch keeps one stage of three busy');
});

test('a longer job takes longer, and comes ever nearer to the steady pace', () => {
  fc.assert(
    fc.property(stages, counts, fc.integer({ min: 1, max: 5 }), (times, m, more) => {
      const plan = { ...planOf(times) };
      const [shorter, longer] = [m, m + more].map((count) => promiseOf(plan, count * MICRO_BATCH)!);
      assert.ok(longer!.seconds > shorter!.seconds - 1e-9);
      assert.ok(promiseOf(plan, 1e9)!.rowsPerSecond > plan.expected!.rowsPerSecond * 0.999);
      assert.ok(shorter!.rowsPerSecond <= plan.expected!.rowsPerSecond * (1 + 1e-9));
    }),
  );
});

test('what the first runs took longer is added once, as much of it as a job has micro-batches; a quicker first run promises nothing', () => {
  const surplus = fc.double({ min: -1, max: 1, noNaN: true });
  fc.assert(
    fc.property(stages, counts, fc.integer({ min: 1, max: 40 }), surplus, (times, m, first, longer) => {
      const plan = planOf(times);
      const warm = (count: number) => promiseOf(plan, count * MICRO_BATCH)!.seconds;
      const started = withStart(plan, [{ microBatches: first, seconds: warm(first) + longer }]);
      const added = promiseOf(started, m * MICRO_BATCH)!.seconds - warm(m);
      const expected = Math.max(0, longer) * Math.min(1, m / first);
      assert.ok(Math.abs(added - expected) < 1e-9 * Math.max(1, warm(m)), `${added} of ${expected}`);
      assert.deepEqual(withStart(started, [{ microBatches: first, seconds: warm(first) + longer }]), started);
    }),
  );
});

test('what was never measured, or no rows, is promised nothing', () => {
  const { expected: _, ...unmeasured } = planOf([{ seconds: 1, workers: 1 }]);
  assert.equal(promiseOf(unmeasured, 10), null);
  assert.equal(promiseOf(planOf([{ seconds: 1, workers: 1 }]), 0), null);
});
