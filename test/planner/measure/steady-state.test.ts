/** Steady-state times: what an engine does only in its first runs does not count. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { timeSteadyState } from '../../../src/planner/measure/steady-state.js';
import type { Sampling } from '../../../src/planner/measure/stopwatch.js';

const OPS = { from: 0, to: 1 };

/** Measurements that return the given seconds one after the other, and then the last of them for ever. */
function measurements(seconds: readonly number[]) {
  const asked: Sampling[] = [];
  const time = async (_: unknown, __: number, sampling: Sampling) => {
    asked.push(sampling);
    const n = asked.length - 1;
    return { seconds: seconds[n] ?? seconds.at(-1)!, loadedBytes: n, peakBytes: 100 + n };
  };
  return { asked, stopwatch: { time } };
}

test('a slice is timed until it gets no faster', async () => {
  const { asked, stopwatch } = measurements([0.05, 0.045, 0.03, 0.02, 0.017, 0.0169, 0.001]);
  const { seconds } = await timeSteadyState(stopwatch, OPS, 1);
  assert.equal(seconds, 0.0169);
  assert.equal(asked.length, 6);
});

test('the loaded bytes come from the first measurement, the peak from the last', async () => {
  const { stopwatch } = measurements([0.05, 0.03, 0.03]);
  assert.deepEqual(await timeSteadyState(stopwatch, OPS, 1), { seconds: 0.03, loadedBytes: 0, peakBytes: 102 });
});

test('a slow slice is measured once after its first run, which never counts; a very slow one with a single run', async () => {
  for (const first of [0.3, 2]) {
    const { asked, stopwatch } = measurements([first, 0.2, 0.1]);
    assert.deepEqual(await timeSteadyState(stopwatch, OPS, 1), { seconds: 0.2, loadedBytes: 0, peakBytes: 101 });
    assert.deepEqual(asked, [{ runs: 0, millis: 0 }, first > 1 ? { runs: 1, millis: 0 } : { runs: 3, millis: 80 }]);
  }
});

test('a slice whose time hardly affects a plan is measured once, and briefly', async () => {
  const { asked, stopwatch } = measurements([0.01, 0.009, 0.001]);
  const { seconds } = await timeSteadyState(stopwatch, OPS, 1, { little: 0.02 });
  assert.equal(seconds, 0.009);
  assert.deepEqual(asked[1], { runs: 3, millis: 20 });
  assert.equal(asked.length, 2);
});

test('it ends, and its result is close to the fastest measurement after the first', async () => {
  const times = fc.array(fc.double({ min: 1e-6, max: 0.1, noNaN: true }), { minLength: 3, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(times, async (seconds) => {
      const { asked, stopwatch } = measurements(seconds);
      const steady = await timeSteadyState(stopwatch, OPS, 1);
      assert.ok(asked.length <= 9);
      const seen = asked.map((_, n) => seconds[n] ?? seconds.at(-1)!).slice(1);
      assert.ok(Math.abs(steady.seconds - Math.min(...seen)) <= 0.05 * Math.min(...seen) + 1e-12);
    }),
  );
});
