/** The partition equals brute force on every small problem, with pools, cores and budgets in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lowerBound, type PartitionProblem, partition, type Staffable } from '../../src/plan/partition.js';

const cells = fc.record({
  cost: fc.integer({ min: 0, max: 20 }),
  bytes: fc.integer({ min: 0, max: 9 }),
  traffic: fc.integer({ min: 0, max: 9 }),
  legal: fc.boolean(),
});
type Cell = typeof cells extends fc.Arbitrary<infer T> ? T : never;

const ways = fc.record({
  cores: fc.integer({ min: 0, max: 3 }),
  speed: fc.integer({ min: 1, max: 4 }),
  budget: fc.integer({ min: 3, max: 60 }),
});

const sumOf = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

function staffable(
  layers: readonly Cell[],
  { cores, speed, budget }: { cores: number; speed: number; budget: number },
): Staffable {
  const move = (k: number) => (k === 0 || k === layers.length ? 0 : layers[k]!.traffic);
  const own = (from: number, to: number) => layers.slice(from, to);
  const work = (from: number, to: number) => sumOf(own(from, to).map(({ cost }) => cost)) / speed;
  return {
    cores,
    work,
    seconds: (from, to) => work(from, to) + (move(from) + move(to)) / speed,
    fits: (from, to) => sumOf(own(from, to).map(({ bytes }) => bytes)) <= budget,
  };
}

const problems = fc
  .record({
    layers: fc.array(cells, { minLength: 1, maxLength: 8 }),
    stages: fc.array(fc.array(ways, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
    cores: fc.integer({ min: 0, max: 5 }),
  })
  .map(
    ({ layers, stages, cores }): PartitionProblem => ({
      layers: layers.length,
      stages: stages.map((each) => each.map((way) => staffable(layers, way))),
      cores,
      legal: (k) => layers[k]!.legal,
    }),
  );

/** Every legal cut with every staffing that the cores allow and the budgets hold. */
function* all({ layers, stages, cores, legal }: PartitionProblem, k = 0, j = 0, left = cores): Generator<number> {
  const last = j === stages.length - 1;
  for (const way of stages[j]!) {
    if (way.cores > left) continue;
    for (let next = last ? layers : k + 1; next <= (last ? layers : layers - 1); next++) {
      if (!way.fits(k, next) || (!last && !legal(next))) continue;
      const own = way.seconds(k, next);
      if (last) yield own;
      else
        for (const rest of all({ layers, stages, cores, legal }, next, j + 1, left - way.cores))
          yield Math.max(own, rest);
    }
  }
}

test('no other legal cut and no other staffing within the cores and the budgets has a faster slowest stage', () => {
  fc.assert(
    fc.property(problems, (problem) => {
      const slowest = [...all(problem)];
      const found = partition(problem);
      if (slowest.length === 0) return assert.equal(found, null);
      assert.equal(found!.slowest, Math.min(...slowest));
      const bounds = [...found!.starts, problem.layers];
      const chosen = found!.staffing.map((way, j) => problem.stages[j]![way]!);
      assert.equal(Math.max(...chosen.map((way, j) => way.seconds(bounds[j]!, bounds[j + 1]!))), found!.slowest);
      assert.ok(chosen.every((way, j) => way.fits(bounds[j]!, bounds[j + 1]!)));
      assert.ok(sumOf(chosen.map(({ cores }) => cores)) <= problem.cores);
      assert.ok(found!.starts.every((k) => k === 0 || problem.legal(k)));
    }),
    { numRuns: 1000 },
  );
});

test('the lower bound is never above the best', () => {
  fc.assert(
    fc.property(problems, (problem) => {
      const found = partition(problem);
      if (found) assert.ok(lowerBound(problem) <= found.slowest + 1e-9);
    }),
  );
});
