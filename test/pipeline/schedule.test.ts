/** The schedule: golden grids, the rules that any schedule keeps, and the prediction against its closed form. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { clockCycles, formatSchedule, predict } from '../../src/pipeline/schedule.js';

const goldens = resolve(import.meta.dirname, '../../../test/pipeline/schedules');

for (const file of readdirSync(goldens)) {
  test(`the schedule of ${file} is as drawn`, () => {
    const [, m, n] = /^m(\d+)-n(\d+)\.txt$/.exec(file)!;
    assert.equal(`${formatSchedule(Number(m), Number(n))}\n`, readFileSync(resolve(goldens, file), 'utf8'));
  });
}

const sizes = [fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 6 })] as const;

test('each stage does every micro-batch once, in order, and only after the stage before it', () => {
  fc.assert(
    fc.property(...sizes, (m, n) => {
      const doneAt = new Map<string, number>();
      let step = 0;
      for (const pairs of clockCycles(m, n)) {
        for (const { stage, microBatch } of pairs) {
          const key = `${stage}/${microBatch}`;
          assert.ok(!doneAt.has(key));
          if (stage > 0) assert.ok(doneAt.get(`${stage - 1}/${microBatch}`)! < step);
          if (microBatch > 0) assert.ok(doneAt.get(`${stage}/${microBatch - 1}`)! < step);
          doneAt.set(key, step);
        }
        step += 1;
      }
      assert.equal(doneAt.size, m * n);
      assert.equal(step, m + n - 1);
    }),
  );
});

test('with depth enough, the prediction is fill + m x slowest stage', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
      (m, times) => {
        const stages = times.map((seconds) => ({ seconds, workers: 1 }));
        const slowest = Math.max(...times);
        const fill = times.reduce((sum, time) => sum + time, 0) - slowest;
        assert.equal(predict(stages, m, m).seconds, fill + m * slowest);
      },
    ),
  );
});

test('where each micro-batch has its own times, the prediction is the longest way through two stages', () => {
  const times = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 })), { minLength: 1 });
  fc.assert(
    fc.property(times, (own) => {
      const m = own.length;
      const stages = [0, 1].map(() => ({ seconds: 1, workers: 1 }));
      const { seconds } = predict(stages, m, m, undefined, (j, i) => own[i]![j]!);
      // Johnson 1954: the first stage up to some micro-batch, the second from that one on.
      const ways = own.map((_, k) => own.reduce((sum, [a, b], i) => sum + (i <= k ? a : 0) + (i >= k ? b : 0), 0));
      assert.equal(seconds, Math.max(...ways));
    }),
  );
});

test('depth 1 is the sequential split: the plain sum', () => {
  const stages = [3, 5, 2].map((seconds) => ({ seconds, workers: 1 }));
  assert.equal(predict(stages, 7, 1).seconds, 70);
});

test('two workers on a stage halve it, and the bubble says who waits', () => {
  const { seconds, bubbles } = predict(
    [
      { seconds: 1, workers: 1 },
      { seconds: 2, workers: 2 },
    ],
    100,
    8,
  );
  assert.equal(seconds, 102);
  assert.ok(bubbles.every((bubble) => bubble > 0 && bubble < 0.03));
});
