/** Shifting the cut: the measured times of the loaded stages, compared with the profile, move the cut to where it is best by these. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Plan } from '../../../src/plan/plan.js';
import { candidateOf, type Scales } from '../../../src/planner/search/candidate.js';
import type { Topology } from '../../../src/planner/search/topology.js';
import { shiftCut } from '../../../src/planner/trial/shift-cut.js';
import { shiftWhileFaster } from '../../../src/planner/trial/shift-while-faster.js';
import { verified } from '../../../src/planner/trial/try-out.js';
import { ALLOCATION, searchOf } from '../../fixtures/measured-chain.js';

const millis = fc.array(fc.integer({ min: 20, max: 500 }), { minLength: 2, maxLength: 8 });
const OPTION = {
  device: 'cpu',
  engine: 'onnxruntime',
  provider: 'cpu',
  threads: 1,
  workers: 1,
  memory: undefined,
} as const;
const TOPOLOGY: Topology = {
  name: 'two stages',
  stages: [[{ ...OPTION, allocation: ALLOCATION }], [{ ...OPTION, allocation: ALLOCATION }]],
};

/** The best cut by the profile, tried on stages that took `scales` times as long as the profile predicts. */
function triedWith(times: readonly number[], scales: readonly [number, number]) {
  const layers = times.map((millis) => ({ millis, weights: 0 }));
  const search = searchOf({ layers, cores: 2, empty: 1, held: 1, workspace: 0 }, 2 ** 50);
  const first = candidateOf(search, TOPOLOGY).plan!;
  const stageSeconds = first.expected!.stages.map(({ seconds }, j) => seconds * scales[j]!);
  const rowsPerSecond = first.microBatch / Math.max(...stageSeconds);
  const plan = verified(first, { microBatches: 1, rowsPerSecond, stageSeconds, peakBytes: [null, null] });
  return { search, tried: { topology: TOPOLOGY, plan, scales: { seconds: scales, bytes: [1, 1] } } };
}

/** Seconds of the slowest stage of the best cut, by exhaustive search. Moving the tensors takes next to nothing here. */
function best(times: readonly number[], [a, b]: readonly [number, number]): number {
  const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
  const slowest = times.slice(1).map((_, k) => Math.max(a * sum(times.slice(0, k + 1)), b * sum(times.slice(k + 1))));
  return Math.min(...slowest) / 1e3;
}

test('stages that take as long as the profile predicts keep their cut', () => {
  fc.assert(
    fc.property(millis, (times) => {
      const { search, tried } = triedWith(times, [1, 1]);
      assert.equal(shiftCut(search, [tried], 0), null);
    }),
  );
});

test('the cut moves to where it is best if all layers of a stage are slowed down alike, or stays if that gains too little', () => {
  const scale = fc.double({ min: 0.25, max: 4, noNaN: true });
  fc.assert(
    fc.property(millis, scale, scale, (times, a, b) => {
      const { search, tried } = triedWith(times, [a, b]);
      const next = shiftCut(search, [tried], 0);
      const pace = (next ?? tried).plan.expected!.rowsPerSecond;
      const most = tried.plan.microBatch / best(times, [a, b]);
      assert.ok(pace <= most * 1.001 && pace >= (next ? 0.999 : 0.979) * most, `${pace} of ${most}`);
      if (next) assert.equal(shiftCut(search, [tried], pace * 1.01), null, 'not if another plan is faster still');
    }),
  );
});

test('a machine that changes its speed between two observations does not move the cut: it changes all stages alike', () => {
  const pace = fc.double({ min: 0.5, max: 2, noNaN: true });
  fc.assert(
    fc.property(millis, pace, pace, (times, then, now) => {
      const { search, tried } = triedWith(times, [then, then]);
      const { tried: again } = triedWith(times, [now, now]);
      assert.equal(shiftCut(search, [tried, again], 0), null);
    }),
  );
});

test('the cut is shifted while the measurements show that it helps: no cut twice, a few at most, until no other promises more', async () => {
  const factors = fc.array(fc.double({ min: 0.3, max: 3, noNaN: true }), { minLength: 8, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(millis, factors, async (times, factors) => {
      const { search, tried } = triedWith(times, [1, 1]);
      // Only the trial knows the true time of each layer.
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
        const observed = { microBatches: 1, rowsPerSecond, stageSeconds, peakBytes: [null, null] };
        return { topology: TOPOLOGY, plan: verified(plan, observed), scales };
      };
      const first = await attempt(candidateOf(search, tried.topology).plan!, {});
      const triedCuts = await shiftWhileFaster(
        search,
        first,
        () => Math.max(...paces),
        attempt,
        () => 0,
      );
      assert.deepEqual(
        triedCuts.map(({ plan }) => plan.stages[1]!.layers.from),
        cuts,
      );
      assert.equal(new Set(cuts).size, cuts.length);
      assert.ok(cuts.length <= 4);
      if (cuts.length < 4) assert.equal(shiftCut(search, triedCuts, Math.max(...paces)), null);
    }),
  );
});
