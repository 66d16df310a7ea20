/** Shifting the cut: what the loaded stages took, against the profile, moves it to where it would be best by that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shiftCut, shiftWhileFaster, verified } from '../../src/pipeline/shift-cut.js';
import { candidateOf, type Scales } from '../../src/plan/candidate.js';
import type { Form } from '../../src/plan/form.js';
import type { Plan } from '../../src/plan/plan.js';
import { STAFFING, searchOf } from '../fixtures/measured-chain.js';

const millis = fc.array(fc.integer({ min: 20, max: 500 }), { minLength: 2, maxLength: 8 });
const WAY = {
  device: 'cpu',
  engine: 'onnxruntime',
  provider: 'cpu',
  threads: 1,
  workers: 1,
  memory: undefined,
} as const;
const FORM: Form = { name: 'two stages', stages: [[{ ...WAY, staffing: STAFFING }], [{ ...WAY, staffing: STAFFING }]] };

/** The best cut by the profile, and what it showed when its stages took `scales` as long as that says. */
function triedWith(times: readonly number[], scales: readonly [number, number]) {
  const layers = times.map((millis) => ({ millis, weights: 0 }));
  const search = searchOf({ layers, cores: 2, empty: 1, held: 1, workspace: 0 }, 2 ** 50);
  const first = candidateOf(search, FORM).plan!;
  const stageSeconds = first.expected!.stages.map(({ seconds }, j) => seconds * scales[j]!);
  const rowsPerSecond = first.microBatch / Math.max(...stageSeconds);
  const plan = verified(first, { microBatches: 1, rowsPerSecond, stageSeconds, peakBytes: [null, null] });
  return { search, tried: { form: FORM, plan, scales: { seconds: scales, bytes: [1, 1] } } };
}

/** Seconds of the slowest stage of the best cut, by trying all; what crosses the cut takes next to nothing here. */
function best(times: readonly number[], [a, b]: readonly [number, number]): number {
  const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
  const slowest = times.slice(1).map((_, k) => Math.max(a * sum(times.slice(0, k + 1)), b * sum(times.slice(k + 1))));
  return Math.min(...slowest) / 1e3;
}

test('stages that take as long as the profile says stay where they are', () => {
  fc.assert(
    fc.property(millis, (times) => {
      const { search, tried } = triedWith(times, [1, 1]);
      assert.equal(shiftCut(search, [tried], 0), null);
    }),
  );
});

test('the cut moves to where it is best if all layers of a stage are as much slower as the stage, or gains too little', () => {
  const scale = fc.double({ min: 0.25, max: 4, noNaN: true });
  fc.assert(
    fc.property(millis, scale, scale, (times, a, b) => {
      const { search, tried } = triedWith(times, [a, b]);
      const next = shiftCut(search, [tried], 0);
      const pace = (next ?? tried).plan.expected!.rowsPerSecond;
      const most = tried.plan.microBatch / best(times, [a, b]);
      assert.ok(pace <= most * 1.001 && pace >= (next ? 0.999 : 0.979) * most, `${pace} of ${most}`);
      if (next) assert.equal(shiftCut(search, [tried], pace * 1.01), null, 'not where another plan is faster still');
    }),
  );
});

test('a machine that changes its pace between two looks does not move the cut: the stages of one look are at work together', () => {
  const pace = fc.double({ min: 0.5, max: 2, noNaN: true });
  fc.assert(
    fc.property(millis, pace, pace, (times, then, now) => {
      const { search, tried } = triedWith(times, [then, then]);
      const { tried: again } = triedWith(times, [now, now]);
      assert.equal(shiftCut(search, [tried, again], 0), null);
    }),
  );
});

test('the cut is shifted while what was seen says that it helps: no cut twice, a few at most, and then no other promises more', async () => {
  const factors = fc.array(fc.double({ min: 0.3, max: 3, noNaN: true }), { minLength: 8, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(millis, factors, async (times, factors) => {
      const { search, tried } = triedWith(times, [1, 1]);
      // What each layer really takes is known to the trial alone.
      const truth = times.map((millis, n) => (millis * factors[n]!) / 1e3);
      const cuts: number[] = [];
      const paces: number[] = [];
      const attempt = async (plan: Plan, { seconds = [1, 1] }: Scales) => {
        const stageSeconds = plan.stages.map(({ layers: { from, to } }) =>
          truth.slice(from, to + 1).reduce((sum, each) => sum + each, 0),
        );
        const rowsPerSecond = plan.microBatch / Math.max(...stageSeconds);
        cuts.push(plan.stages[1]!.layers.from);
        paces.push(rowsPerSecond);
        const scales = {
          seconds: stageSeconds.map((own, j) => (seconds[j]! * own) / plan.expected!.stages[j]!.seconds),
          bytes: [1, 1],
        };
        const seen = { microBatches: 1, rowsPerSecond, stageSeconds, peakBytes: [null, null] };
        return { form: FORM, plan: verified(plan, seen), scales };
      };
      const first = await attempt(candidateOf(search, tried.form).plan!, {});
      const shown = await shiftWhileFaster(search, first, () => Math.max(...paces), attempt);
      assert.deepEqual(
        shown.map(({ plan }) => plan.stages[1]!.layers.from),
        cuts,
      );
      assert.equal(new Set(cuts).size, cuts.length);
      assert.ok(cuts.length <= 4);
      if (cuts.length < 4) assert.equal(shiftCut(search, shown, Math.max(...paces)), null);
    }),
  );
});
