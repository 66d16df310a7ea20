/** The partition equals brute force on every small problem, with pools, cores and budgets in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { leastRoom, lowerBound, type PartitionProblem, partition, type Staffable } from '../../src/plan/partition.js';

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
  shares: fc.boolean(),
});

const sumOf = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

function staffable(
  layers: readonly Cell[],
  { cores, speed, budget, shares }: typeof ways extends fc.Arbitrary<infer T> ? T : never,
): Staffable {
  const move = (k: number) => (k === 0 || k === layers.length ? 0 : layers[k]!.traffic);
  const own = (from: number, to: number) => layers.slice(from, to);
  const work = (from: number, to: number) => sumOf(own(from, to).map(({ cost }) => cost)) / speed;
  return {
    cores,
    work,
    seconds: (from, to) => work(from, to) + (move(from) + move(to)) / speed,
    fits: (from, to) => sumOf(own(from, to).map(({ bytes }) => bytes)) <= budget,
    takes: (from, to) => (shares ? cores + sumOf(own(from, to).map(({ bytes }) => bytes)) : 0),
  };
}

const problems = fc
  .record({
    layers: fc.array(cells, { minLength: 1, maxLength: 8 }),
    stages: fc.array(fc.array(ways, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
    cores: fc.integer({ min: 0, max: 5 }),
    room: fc.integer({ min: 0, max: 80 }),
  })
  .map(
    ({ layers, stages, cores, room }): PartitionProblem => ({
      layers: layers.length,
      stages: stages.map((each) => each.map((way) => staffable(layers, way))),
      cores,
      legal: (k) => layers[k]!.legal,
      room,
    }),
  );

/** Seconds of the slowest stage for every legal cut with every staffing that the cores allow, the budgets and the room hold. */
function* all(problem: PartitionProblem, k = 0, j = 0, left = problem.cores, room = problem.room): Generator<number> {
  const { layers, stages, legal } = problem;
  const last = j === stages.length - 1;
  for (const way of stages[j]!) {
    if (way.cores > left) continue;
    for (let next = last ? layers : k + 1; next <= (last ? layers : layers - 1); next++) {
      const roomLeft = room - way.takes(k, next);
      if (!way.fits(k, next) || roomLeft < 0 || (!last && !legal(next))) continue;
      const own = way.seconds(k, next);
      if (last) yield own;
      else for (const rest of all(problem, next, j + 1, left - way.cores, roomLeft)) yield Math.max(own, rest);
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
      assert.ok(sumOf(chosen.map((way, j) => way.takes(bounds[j]!, bounds[j + 1]!))) <= problem.room);
      assert.ok(found!.starts.every((k) => k === 0 || problem.legal(k)));
    }),
    { numRuns: 1000 },
  );
});

test('there is a partition exactly where the room is at least what the stages take together at least', () => {
  fc.assert(
    fc.property(problems, (problem) => {
      const least = leastRoom(problem);
      assert.equal(partition({ ...problem, room: least - 1 }), null);
      if (Number.isFinite(least)) assert.ok(partition({ ...problem, room: least }));
    }),
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
