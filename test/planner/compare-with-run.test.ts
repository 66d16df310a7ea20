/** A plan compared with its runs: one measured in a busy moment becomes stale, a good one survives slow runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Plan } from '../../src/plan/plan.js';
import { comparedWithRun, type RunObservation } from '../../src/planner/compare-with-run.js';
import { isSound, type KnownPlan } from '../../src/planner/known-plans.js';

const stage = { device: 'cpu', engine: 'onnxruntime', provider: 'cpu', threads: 1, workers: 1 } as const;

function known(stageSeconds: readonly number[], more: Partial<KnownPlan> & { busy?: number } = {}): KnownPlan {
  const { busy, ...own } = more;
  const stages = stageSeconds.map(() => ({ ...stage, layers: { from: 0, to: 0 }, ops: { from: 0, to: 1 } }));
  const plan: Plan = {
    stages,
    microBatch: 8,
    depth: 4,
    isolation: 'thread',
    cutBy: 'measured',
    expected: {
      name: 'any',
      rowsPerSecond: 8 / Math.max(...stageSeconds),
      bubble: 0,
      lowerBound: 0,
      verified: true,
      ...(busy === undefined ? {} : { busy }),
      stages: stageSeconds.map((seconds) => ({ seconds, bytes: 0, budget: null, utilisation: 1 })),
    },
  };
  return { plan, effort: 'measured', rows: null, stale: null, doubts: 0, seen: null, ...own };
}

const run = (stageSeconds: readonly number[], more: Partial<RunObservation> = {}): RunObservation => ({
  loadSeconds: 1,
  secondsPerRow: Math.max(...stageSeconds) / 8,
  microBatches: 100,
  seconds: 10,
  stageSeconds,
  busy: 0,
  ...more,
});

const times = fc.array(fc.double({ min: 1e-4, max: 10, noNaN: true }), { minLength: 1, maxLength: 4 });

test('a run that is faster than its plan makes it stale, also if the machine was busy during the run', () => {
  for (const busy of [0, 0.6, null]) {
    const after = comparedWithRun(known([0.1, 0.2]), run([0.1, 0.1], { busy }));
    assert.match(after.stale!, /stage 1 takes 50 % of what was measured/);
    assert.ok(!isSound(after));
  }
});

test('a run that is slower makes it stale only if the machine was idle otherwise', () => {
  assert.match(comparedWithRun(known([0.1]), run([0.2])).stale!, /200 %/);
  assert.match(comparedWithRun(known([0.1]), run([0.2], { busy: null })).stale!, /200 %/);
  assert.equal(comparedWithRun(known([0.1]), run([0.2], { busy: 0.5 })).stale, null);
});

test('rows that are always slower than zeros do not make plans stale for ever', () => {
  let plan = known([0.1]);
  let anew = 0;
  for (let n = 0; n < 10; n++) {
    plan = comparedWithRun(plan, run([0.2]));
    if (plan.stale === null) continue;
    anew += 1;
    plan = known([0.1], { doubts: plan.doubts });
  }
  assert.equal(anew, 2);
});

test('a run that agrees, or is too short, changes only the kept paces', () => {
  fc.assert(
    fc.property(times, fc.double({ min: 0.9, max: 1.15, noNaN: true }), (seconds, factor) => {
      const before = known(seconds);
      const after = comparedWithRun(before, run(seconds.map((each) => each * factor)));
      assert.deepEqual({ ...after, seen: null }, before);
    }),
  );
  const short = comparedWithRun(known([0.1]), run([0.01], { microBatches: 3 }));
  assert.equal(short.stale, null);
  assert.ok(short.seen);
});

test('the better paces of all runs are kept, in any order of the runs', () => {
  const some = fc.array(fc.tuple(times, fc.double({ min: 0.1, max: 9, noNaN: true })), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(some, (runs) => {
      const all = runs.map(([[seconds], loadSeconds]) => run([seconds!], { loadSeconds }));
      const { seen } = all.reduce(comparedWithRun, known([0.1]));
      assert.equal(seen!.loadSeconds, Math.min(...all.map((each) => each.loadSeconds)));
      assert.equal(seen!.secondsPerRow, Math.min(...all.map((each) => each.secondsPerRow)));
    }),
  );
});

test('a plan measured while other work ran is not trusted', () => {
  assert.ok(isSound(known([0.1])));
  assert.ok(isSound(known([0.1], { busy: 0.05 })));
  assert.ok(!isSound(known([0.1], { busy: 0.4 })));
});
