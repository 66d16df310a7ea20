/** Budgets: with more memory never a worse plan, never more than was allowed, and a refusal exactly where no cut could fit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { candidateOf } from '../../src/plan/candidate.js';
import type { Form, Way } from '../../src/plan/form.js';
import { defaultDepth } from '../../src/plan/plan.js';
import { SLOT_BYTES, STAFFING, searchOf } from '../fixtures/measured-chain.js';

const STEPS = 20;
const layer = fc.record({ millis: fc.integer({ min: 1, max: 50 }), weights: fc.integer({ min: 0, max: 64 }) });

const searches = fc.record({
  layers: fc.array(layer, { minLength: 2, maxLength: 7 }),
  stages: fc.integer({ min: 1, max: 3 }),
  /** Cores, which are also the most workers. */
  cores: fc.integer({ min: 3, max: 5 }),
  empty: fc.integer({ min: 10, max: 60 }),
  held: fc.constantFrom(1, 1.5, 2),
  workspace: fc.integer({ min: 0, max: 30 }),
});
type Drawn = typeof searches extends fc.Arbitrary<infer T> ? T : never;

function formOf({ stages, cores }: Drawn, memory: number | undefined): Form {
  const ways = Array.from({ length: cores - stages + 1 }, (_, n): Way => {
    return {
      device: 'cpu',
      engine: 'onnxruntime',
      provider: 'cpu',
      threads: 1,
      workers: n + 1,
      memory,
      staffing: STAFFING,
    };
  });
  return { name: 'a form', stages: new Array(stages).fill(ways) };
}

/** At one of its budgets the plan fits by less than its slots. */
const SLOTS_AT_THE_EDGE: Drawn = {
  layers: [
    { millis: 1, weights: 2 },
    { millis: 1, weights: 6 },
    { millis: 3, weights: 27 },
    { millis: 1, weights: 51 },
  ],
  stages: 3,
  cores: 5,
  empty: 15,
  held: 2,
  workspace: 6,
};

/** Slots between two stages are in the bytes of both, and in memory once: no plan of this form has more. */
function seenTwice({ stages, cores }: Drawn): number {
  const most = new Array(stages).fill({ workers: cores - stages + 1 });
  return (stages - 1) * defaultDepth(most) * SLOT_BYTES;
}

/** The most, or all, of what the stages of a plan hold. */
const BUDGETS = {
  named: {
    candidate: (drawn: Drawn, bytes: number) => candidateOf(searchOf(drawn, 2 ** 50), formOf(drawn, bytes)),
    held: (stages: readonly { bytes: number }[]) => Math.max(...stages.map(({ bytes }) => bytes)),
    twice: () => 0,
  },
  shared: {
    candidate: (drawn: Drawn, bytes: number) => candidateOf(searchOf(drawn, bytes), formOf(drawn, undefined)),
    held: (stages: readonly { bytes: number }[]) => stages.reduce((sum, { bytes }) => sum + bytes, 0),
    twice: seenTwice,
  },
};

for (const [kind, { candidate, held, twice }] of Object.entries(BUDGETS)) {
  test(`budgets from generous to impossible in ${STEPS} steps: held, never better with less, refused exactly where nothing fits (${kind})`, () => {
    fc.assert(
      fc.property(searches, (drawn) => {
        fc.pre(drawn.stages <= drawn.layers.length);
        const generous = candidate(drawn, 2 ** 40);
        const most = 1.1 * held(generous.plan!.expected!.stages);
        const { bytes: smallestBytes } = generous.need;
        let before = generous.plan!.expected!.rowsPerSecond;
        assert.equal(before, generous.unlimited);
        for (let step = STEPS; step > 0; step--) {
          const budget = (most * step) / STEPS;
          const { plan, need } = candidate(drawn, budget);
          assert.equal(need.bytes, smallestBytes, 'what is needed does not depend on what is given');
          assert.equal(plan === null, budget < smallestBytes, `${budget} of ${smallestBytes}`);
          if (!plan) continue;
          assert.ok(held(plan.expected!.stages) - twice(drawn) <= budget);
          assert.ok(plan.expected!.rowsPerSecond <= before);
          before = plan.expected!.rowsPerSecond;
        }
        assert.ok(candidate(drawn, smallestBytes).plan, 'what is said to be enough is enough');
      }),
      { numRuns: 30, examples: [[SLOTS_AT_THE_EDGE]] },
    );
  });
}
