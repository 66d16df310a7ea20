/** Liveness: every way to ask for it agrees with the plain definition, on any row of steps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cutsUnder, lifetimes, livesAcross, meet, type Step, spentAfter, sumAcross } from '../src/liveness.js';

interface Drawn {
  readonly steps: readonly Step<number>[];
  readonly fed: readonly number[];
  readonly kept: readonly number[];
}

/** Values are numbered in order of birth; some are read often, some never, some twice by one step. From 1000 on they are weights. */
const drawn: fc.Arbitrary<Drawn> = fc
  .record({
    fed: fc.nat(3),
    steps: fc.array(
      fc.record({ makes: fc.nat(2), reads: fc.array(fc.nat(), { maxLength: 4 }), weight: fc.boolean() }),
      {
        maxLength: 12,
      },
    ),
    kept: fc.array(fc.nat(), { maxLength: 3 }),
  })
  .map(({ fed, steps, kept }) => {
    let count = fed;
    const rows = steps.map(({ makes, reads, weight }, n) => {
      const inputs = count === 0 ? [] : reads.map((read) => read % count);
      const outputs = Array.from({ length: makes }, () => count++);
      return { inputs: weight ? [...inputs, 1000 + n] : inputs, outputs };
    });
    return { steps: rows, fed: [...Array(fed).keys()], kept: count === 0 ? [] : kept.map((each) => each % count) };
  });

/** Fed, or made before step `k`; and read at or after it, or kept. */
function livesThere({ steps, fed, kept }: Drawn, value: number, k: number): boolean {
  const before = [...fed, ...steps.slice(0, k).flatMap(({ outputs }) => outputs)];
  const after = [...steps.slice(k).flatMap(({ inputs }) => inputs), ...kept];
  return before.includes(value) && after.includes(value);
}

const valuesOf = ({ steps, fed }: Drawn) => [...fed, ...steps.flatMap(({ outputs }) => outputs)];
const cutsOf = ({ steps }: Drawn) => Array.from({ length: steps.length + 1 }, (_, k) => k);

test('a value lives across a cut where it is there before and needed at or after it', () => {
  fc.assert(
    fc.property(drawn, (row) => {
      const lives = lifetimes(row.steps, row);
      assert.deepEqual([...lives.keys()], valuesOf(row), 'in order of birth, without weights');
      for (const k of cutsOf(row)) {
        const across = [...lives].filter(([, life]) => livesAcross(life, k)).map(([value]) => value);
        assert.deepEqual(
          across,
          valuesOf(row).filter((value) => livesThere(row, value, k)),
        );
      }
    }),
  );
});

test('sums across cuts, and the cuts that some values lie over, are those of the values one by one', () => {
  fc.assert(
    fc.property(drawn, (row) => {
      const lives = lifetimes(row.steps, row);
      const sums = cutsOf(row).map((k) =>
        valuesOf(row).reduce((sum, value) => sum + (livesThere(row, value, k) ? value + 1 : 0), 0),
      );
      assert.deepEqual(
        sumAcross(
          [...lives].map(([value, life]) => [life, value + 1]),
          row.steps.length,
        ),
        sums,
      );
      const odd = [...lives].filter(([value]) => value % 2 === 1).map(([, life]) => life);
      const under = cutsOf(row).filter(
        (k) =>
          k > 0 && k < row.steps.length && valuesOf(row).some((value) => value % 2 === 1 && livesThere(row, value, k)),
      );
      assert.deepEqual([...cutsUnder(odd, row.steps.length)], under);
    }),
  );
});

test('two lifetimes meet where one step has both', () => {
  const life = fc
    .tuple(fc.integer({ min: -1, max: 8 }), fc.nat(4))
    .map(([born, more]) => ({ born, last: born + more }));
  fc.assert(
    fc.property(life, life, (a, b) => {
      const steps = Array.from({ length: 16 }, (_, n) => n - 1);
      const isIn = (step: number, { born, last }: typeof a) => step >= born && step <= last;
      assert.equal(
        meet(a, b),
        steps.some((step) => isIn(step, a) && isIn(step, b)),
      );
    }),
  );
});

test('what is spent after a step is what it is the last to touch, once, and never what is kept', () => {
  fc.assert(
    fc.property(drawn, (row) => {
      const kept = [...row.fed, ...row.kept];
      const spent = spentAfter(row.steps, kept);
      for (const [n, { inputs, outputs }] of row.steps.entries()) {
        const later = row.steps.slice(n + 1).flatMap((step) => [...step.inputs, ...step.outputs]);
        const own = [...inputs, ...outputs].filter((value) => !later.includes(value) && !kept.includes(value));
        assert.deepEqual(spent[n], [...new Set(own)]);
      }
    }),
  );
});
