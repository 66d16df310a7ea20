/** The memory of a decoder: what a budget holds, and the smallest that would do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { slotsWithin } from '../../src/decoder/decoder-memory.js';
import { TandemError } from '../../src/errors.js';

const MIB = 2 ** 20;

test('slots follow the budget, and the budget that a refusal names is enough and the least in whole MiB', () => {
  const made = fc.record({
    base: fc.integer({ min: 1, max: 4000 * MIB }),
    perSlot: fc.integer({ min: 1, max: 200 * MIB }),
    budget: fc.integer({ min: 1, max: 8000 * MIB }),
    least: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(made, ({ base, perSlot, budget, least }) => {
      const slots = (memory: number) => slotsWithin([{ base, perToken: 1, perSlot }], [memory], { wanted: 64, least });
      try {
        const fit = slots(budget);
        assert.ok(base + fit * perSlot <= budget, 'what is planned fits');
        assert.ok(fit === 64 || base + (fit + 1) * perSlot > budget, 'one more would not');
      } catch (error) {
        assert.ok(error instanceof TandemError && error.code === 'TANDEM_PLAN_IMPOSSIBLE');
        const named = Number(/memory=(\d+)MiB/.exec(error.remedy ?? '')?.[1]);
        assert.ok(slots(named * MIB) >= least);
        assert.throws(() => slots((named - 1) * MIB - 1));
      }
    }),
  );
});
