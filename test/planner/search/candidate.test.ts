/** Budgets: more memory never makes a plan worse, no plan exceeds its budget, and a budget is refused exactly if no cut fits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultDepth } from '../../../src/plan/plan.js';
import { candidateOf } from '../../../src/planner/search/candidate.js';
import type { StageOption, Topology } from '../../../src/planner/search/topology.js';
import { ALLOCATION, SLOT_BYTES, searchOf } from '../../fixtures/measured-chain.js';

const STEPS = 20;
const layer = fc.record({ millis: fc.integer({ min: 1, max: 50 }), weights: fc.integer({ min: 0, max: 64 }) });

const searches = fc.record({
  layers: fc.array(layer, { minLength: 2, maxLength: 7 }),
  stages: fc.integer({ min: 1, max: 3 }),
  /** Cores; also the most workers. */
  cores: fc.integer({ min: 3, max: 5 }),
  empty: fc.integer({ min: 10, max: 60 }),
  held: fc.constantFrom(1, 1.5, 2),
  workspace: fc.integer({ min: 0, max: 30 }),
});
type Drawn = typeof searches extends fc.Arbitrary<infer T> ? T : never;

function topologyOf({ stages, cores }: Drawn, memory: number | undefined): Topology {
  const options = Array.from({ length: cores - stages + 1 }, (_, n): StageOption => {
    return {
      device: 'cpu',
      engine: 'onnxruntime',
      provider: 'cpu',
      threads: 1,
      workers: n + 1,
      memory,
      allocation: ALLOCATION,
    };
  });
  return { name: 'a topology', stages: new Array(stages).fill(options) };
}

/** At one of the budgets the plan fits by less than its slots. */
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

/** Slots between two stages count in the bytes of both, and are in memory once. No plan of this topology has more such bytes. */
function countedTwice({ stages, cores }: Drawn): number {
  const most = new Array(stages).fill({ workers: cores - stages + 1 });
  return (stages - 1) * defaultDepth(most) * SLOT_BYTES;
}

/** A budget for each stage, or one for all together; `held` is what counts against it. */
const BUDGETS = {
  named: {
    candidate: (drawn: Drawn, bytes: number) => candidateOf(searchOf(drawn, 2 ** 50), topologyOf(drawn, bytes)),
    held: (stages: readonly { bytes: number }[]) => Math.max(...stages.map(({ bytes }) => bytes)),
    twice: () => 0,
  },
  shared: {
    candidate: (drawn: Drawn, bytes: number) => candidateOf(searchOf(drawn, bytes), topologyOf(drawn, undefined)),
    held: (stages: readonly { bytes: number }[]) => stages.reduce((sum, { bytes }) => sum + bytes, 0),
    twice: countedTwice,
  },
};

for (const [kind, { candidate, held, twice }] of Object.entries(BUDGETS)) {
  test(`budgets from generous to impossible in ${STEPS} steps: kept, never faster with less, refused exactly if nothing fits (${kind})`, () => {
    fc.assert(
      fc.property(searches, (drawn) => {
        fc.pre(drawn.stages <= drawn.layers.length);
        const generous = candidate(drawn, 2 ** 40);
        const most = 1.1 * held(generous.plan!.expected!.stages);
        const { bytes: smallestBytes } = generous.requirement;
        let before = generous.plan!.expected!.rowsPerSecond;
        assert.equal(before, generous.unlimited);
        for (let step = STEPS; step > 0; step--) {
          const budget = (most * step) / STEPS;
          const { plan, requirement } = candidate(drawn, budget);
          assert.equal(requirement.bytes, smallestBytes, 'the requirement does not depend on the budget');
          assert.equal(plan === null, budget < smallestBytes, `${budget} of ${smallestBytes}`);
          if (!plan) continue;
          assert.ok(held(plan.expected!.stages) - twice(drawn) <= budget);
          assert.ok(plan.expected!.rowsPerSecond <= before);
          before = plan.expected!.rowsPerSecond;
        }
        assert.ok(candidate(drawn, smallestBytes).plan, 'the reported requirement suffices');
      }),
      { numRuns: 30, examples: [[SLOTS_AT_THE_EDGE]] },
    );
  });
}

test('stages that want more cores than the machine has share them: more stages are not faster, and the plan shows it', () => {
  const layers = Array.from({ length: 6 }, () => ({ millis: 10, weights: 1 }));
  const paceOf = (stages: number, cores: number) => {
    const option: StageOption = { ...ALLOCATION, workers: 1, memory: undefined, allocation: ALLOCATION };
    const topology: Topology = { name: 'a topology', stages: new Array(stages).fill([option]) };
    const { plan } = candidateOf(searchOf({ layers, cores, empty: 10, held: 1, workspace: 0 }, 2 ** 40), topology);
    const { expected, microBatch } = plan!;
    const millis = expected!.stages.map(({ seconds }) => seconds * 1e3);
    return { interval: (microBatch / expected!.rowsPerSecond) * 1e3, millis };
  };
  const about = (a: number, b: number) => assert.ok(Math.abs(a / b - 1) < 0.01, `${a} is not about ${b}`);
  about(paceOf(2, 2).interval, 30);
  about(paceOf(3, 2).interval, 30);
  about(paceOf(6, 2).interval, 30);
  about(paceOf(6, 4).interval, 15);
  about(paceOf(6, 8).interval, 10);
  for (const each of paceOf(3, 1).millis) about(each, 60);
});
