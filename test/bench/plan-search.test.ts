/** The bound of bench/plan-search: what it leaves out could not have been the best. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Judged, judgeCuts } from '../../bench/plan-search/bound.js';

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
      // A command may end after any step, and the next one goes on.
      for (let steps = 1; !(await judgeCuts(search, excluded, () => steps-- > 0)); steps = 1);
      assert.equal(excluded[planned], undefined);
      for (const cut of cuts) if (excluded[cut]) assert.ok(paceOf(cut) > 1.1 * paceOf(planned));
      // Beyond the planned one each further layer only adds to a stage, so nothing that is too slow for its own growing stage is left.
      for (const cut of cuts) {
        const growing = alone(cut > planned ? 0 : 1, cut);
        if (cut !== planned && growing > 1.1 * paceOf(planned)) assert.ok(excluded[cut], `${cut}`);
      }
      assert.equal(new Set(found).size, found.length);
    }),
  );
});
