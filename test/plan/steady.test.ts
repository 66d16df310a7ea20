/** Steady times: what an engine does only in its first runs is not taken for its pace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { timeSteady } from '../../src/plan/steady.js';
import type { Patience } from '../../src/plan/stopwatch.js';

const OPS = { from: 0, to: 1 };

/** Looks that tell one after the other what is given, and the last of it for ever. */
function looks(seconds: readonly number[]) {
  const asked: Patience[] = [];
  const time = async (_: unknown, __: number, patience: Patience) => {
    asked.push(patience);
    const n = asked.length - 1;
    return { seconds: seconds[n] ?? seconds.at(-1)!, loadedBytes: n, peakBytes: 100 + n };
  };
  return { asked, stopwatch: { time } };
}

test('a slice is timed until it gets no faster', async () => {
  const { asked, stopwatch } = looks([0.05, 0.045, 0.03, 0.02, 0.017, 0.0169, 0.001]);
  const { seconds } = await timeSteady(stopwatch, OPS, 1);
  assert.equal(seconds, 0.0169);
  assert.equal(asked.length, 6);
});

test('what was held is of the first look, the peak of the last', async () => {
  const { stopwatch } = looks([0.05, 0.03, 0.03]);
  assert.deepEqual(await timeSteady(stopwatch, OPS, 1), { seconds: 0.03, loadedBytes: 0, peakBytes: 102 });
});

test('what takes long is looked at once after its first run, which never counts; what takes very long with one run', async () => {
  for (const first of [0.3, 2]) {
    const { asked, stopwatch } = looks([first, 0.2, 0.1]);
    assert.deepEqual(await timeSteady(stopwatch, OPS, 1), { seconds: 0.2, loadedBytes: 0, peakBytes: 101 });
    assert.deepEqual(asked, [{ runs: 0, millis: 0 }, first > 1 ? { runs: 1, millis: 0 } : { runs: 3, millis: 80 }]);
  }
});

test('what a plan hardly feels is looked at once, and shortly', async () => {
  const { asked, stopwatch } = looks([0.01, 0.009, 0.001]);
  const { seconds } = await timeSteady(stopwatch, OPS, 1, { little: 0.02 });
  assert.equal(seconds, 0.009);
  assert.deepEqual(asked[1], { runs: 3, millis: 20 });
  assert.equal(asked.length, 2);
});

test('it ends, and never tells more than any look but the first', async () => {
  const times = fc.array(fc.double({ min: 1e-6, max: 0.1, noNaN: true }), { minLength: 3, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(times, async (seconds) => {
      const { asked, stopwatch } = looks(seconds);
      const steady = await timeSteady(stopwatch, OPS, 1);
      assert.ok(asked.length <= 9);
      const seen = asked.map((_, n) => seconds[n] ?? seconds.at(-1)!).slice(1);
      assert.ok(Math.abs(steady.seconds - Math.min(...seen)) <= 0.05 * Math.min(...seen) + 1e-12);
    }),
  );
});
