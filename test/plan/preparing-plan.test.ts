/** How the cores are divided between the stages and the threads that prepare their rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { divideCores, preparingBound, sharedPace } from '../../src/plan/preparing-plan.js';

const seconds = fc.double({ min: 1e-6, max: 1, noNaN: true });

test('a division promises no more than the stages, the threads or the cores can do', () => {
  const rate = fc.double({ min: 0.1, max: 1e5, noNaN: true });
  const cores = fc.integer({ min: 1, max: 64 });
  fc.assert(
    fc.property(seconds, rate, cores, cores, fc.boolean(), (secondsPerRow, rowsPerSecond, all, busy, mayReserve) => {
      const stages = { rowsPerSecond, cores: Math.min(busy, all) };
      const { threads, reserved, rowsPerSecond: pace } = divideCores(secondsPerRow, stages, all, mayReserve);
      assert.ok(threads >= 1 && threads <= all);
      assert.ok(reserved >= 0 && reserved < all, 'the stages keep a core');
      assert.ok(mayReserve || reserved === 0);
      assert.ok(pace <= rowsPerSecond * (1 + 1e-9));
      const bound = preparingBound({ what: '', threads, secondsPerRow, cores: reserved });
      assert.ok(pace <= bound * (1 + 1e-9));
      // Core-seconds of both are no more than there are.
      const used = pace * (secondsPerRow + stages.cores / rowsPerSecond);
      assert.ok(used <= all * (1 + 1e-9) || reserved > 0, `${used} of ${all} cores`);
      if (reserved > 0) assert.ok(pace >= 0.95 * sharedPace(secondsPerRow, stages, all), 'reserving costs little');
    }),
  );
});

test('images that cost as much as the model get a core of two; texts that cost little share', () => {
  assert.deepEqual(divideCores(0.005, { rowsPerSecond: 400, cores: 2 }, 2, true), {
    ...{ threads: 1, reserved: 1 },
    rowsPerSecond: 200,
  });
  const texts = divideCores(0.0003, { rowsPerSecond: 90, cores: 2 }, 2, true);
  assert.equal(texts.threads, 1);
  assert.equal(texts.reserved, 0);
  assert.ok(texts.rowsPerSecond > 88 && texts.rowsPerSecond < 90, `${texts.rowsPerSecond}`);
});

test('a card that waits for images gets as many threads as feed it, and no core is kept from it', () => {
  const { threads, reserved, rowsPerSecond } = divideCores(0.005, { rowsPerSecond: 500, cores: 0 }, 8, true);
  assert.deepEqual({ threads, reserved, rowsPerSecond }, { threads: 4, reserved: 0, rowsPerSecond: 500 });
});
