/** The partition equals brute force on every small problem. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type PartitionProblem, partition } from '../../src/plan/partition.js';

function slowestOf({ costs, speeds, traffic }: PartitionProblem, starts: readonly number[]): number {
  const bounds = [0, ...starts, costs.length];
  const move = (k: number) => (k === 0 || k === costs.length ? 0 : traffic(k));
  return Math.max(
    ...speeds.map((speed, j) => {
      const sum = costs.slice(bounds[j], bounds[j + 1]).reduce((total, cost) => total + cost, 0);
      return (move(bounds[j]!) + sum + move(bounds[j + 1]!)) / speed;
    }),
  );
}

function* choices(places: readonly number[], count: number): Generator<number[]> {
  if (count === 0) yield [];
  else
    for (const [n, place] of places.entries())
      for (const rest of choices(places.slice(n + 1), count - 1)) yield [place, ...rest];
}

const problems = fc
  .record({
    layers: fc.array(
      fc.record({
        cost: fc.integer({ min: 0, max: 20 }),
        traffic: fc.integer({ min: 0, max: 9 }),
        legal: fc.boolean(),
      }),
      { minLength: 1, maxLength: 9 },
    ),
    speeds: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  })
  .map(({ layers, speeds }): PartitionProblem & { legalPlaces: number[] } => ({
    costs: layers.map(({ cost }) => cost),
    speeds,
    legal: (k) => layers[k]!.legal,
    traffic: (k) => layers[k]!.traffic,
    legalPlaces: layers.flatMap(({ legal }, k) => (legal && k > 0 ? [k] : [])),
  }));

test('no other legal cut has a faster slowest stage', () => {
  fc.assert(
    fc.property(problems, (problem) => {
      const all = [...choices(problem.legalPlaces, problem.speeds.length - 1)];
      const found = partition(problem);
      if (all.length === 0) assert.equal(found, null);
      else {
        assert.ok(all.some((starts) => starts.join() === found!.join()));
        assert.equal(slowestOf(problem, found!), Math.min(...all.map((starts) => slowestOf(problem, starts))));
      }
    }),
  );
});
