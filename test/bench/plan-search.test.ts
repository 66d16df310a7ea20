/** bench/plan-search: no excluded cut could have been the best, and a cut that seemed best by luck is not reported as the best. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Judged, judgeCuts } from '../../bench/plan-search/bound.js';
import { comparisonOf, finalists, unfinishedFinalists } from '../../bench/plan-search/found.js';

const millis = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 12 });

test('no cut is excluded that is as fast as the planned one, and a stage that is too slow is measured once', async () => {
  await fc.assert(
    fc.asyncProperty(millis, fc.integer({ min: 1, max: 10 }), fc.nat(), async (times, slower, place) => {
      const cuts = times.slice(1).map((_, n) => n + 1);
      const planned = cuts[place % cuts.length]!;
      const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
      const alone = (stage: number, cut: number) =>
        stage === 0 ? sum(times.slice(0, cut)) : slower * sum(times.slice(cut));
      const paceOf = (cut: number) => Math.max(alone(0, cut), alone(1, cut));
      const found: number[] = [];
      const excluded: Judged = {};
      const search = {
        cuts,
        planned,
        margin: 0.1,
        interval: paceOf(planned),
        alone: async (stage: number, cut: number) => {
          const seconds = alone(stage, cut);
          if (seconds > paceOf(planned) * 1.1) found.push(stage);
          return seconds;
        },
      };
      // A command may end after any step, and the next one continues.
      for (let steps = 1; !(await judgeCuts(search, excluded, () => steps-- > 0)); steps = 1);
      assert.equal(excluded[planned], undefined);
      for (const cut of cuts) if (excluded[cut]) assert.ok(paceOf(cut) > 1.1 * paceOf(planned));
      // Beyond the planned cut each further layer only adds to one stage, so no cut is left whose growing stage is too
      // slow.
      for (const cut of cuts) {
        const growing = alone(cut > planned ? 0 : 1, cut);
        if (cut !== planned && growing > 1.1 * paceOf(planned)) assert.ok(excluded[cut], `${cut}`);
      }
      assert.equal(new Set(found).size, found.length);
    }),
  );
});

const share = fc.double({ min: 0.5, max: 1.5, noNaN: true });
const looks = fc.dictionary(fc.integer({ min: 1, max: 99 }).map(String), share, { maxKeys: 20 });

test('the few best single measurements become finalists, until each has had its rounds', () => {
  fc.assert(
    fc.property(looks, fc.integer({ min: 1, max: 9 }), (looks, turns) => {
      const chosen = finalists({ looks });
      assert.ok(chosen.length <= 3);
      const least = Math.min(...chosen.map((cut) => looks[cut]!));
      for (const [cut, share] of Object.entries(looks)) {
        if (chosen.includes(Number(cut))) assert.ok(share >= 0.9);
        else assert.ok(share < 0.9 || (chosen.length === 3 && share <= least));
      }
      assert.deepEqual(unfinishedFinalists({ looks, contest: {} }, turns), chosen);
      const contest = Object.fromEntries(chosen.map((cut) => [cut, new Array(turns).fill(1)]));
      assert.deepEqual(unfinishedFinalists({ looks, contest }, turns), []);
      assert.deepEqual(unfinishedFinalists({ looks, contest }, turns + 1), chosen);
    }),
  );
});

test('only the interleaved rounds decide: the single measurements do not affect the result', () => {
  const looks = { 3: 1.4, 4: 1.1, 5: 0.95, 6: 0.5 };
  const contest = { 3: [0.9, 1, 0.95, 0.8, 0.9, 0.9], 4: [1, 1.25, 1.25, 1.25, 1.2, 1.6], 5: [1, 1, 1, 1, 1, 1] };
  const { fastest, share } = comparisonOf({ looks, contest })!;
  assert.equal(fastest, 4);
  assert.deepEqual(share, { median: 0.8, low: 1 / 1.6, high: 1 });
  assert.equal(comparisonOf({ looks, contest: {} }), null);
  assert.equal(comparisonOf({ looks: { 6: 0.5 }, contest: {} }), null);
});
