/** The kept spans: a bounded number for any length of run, with its beginning, its newest part and samples of the rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Spans } from '../../src/timeline/spans.js';

const WINDOW = 32;

/** `count` micro-batches through two stages. */
function filled(count: number, limits: { newest: number; windows: number }): Spans {
  const spans = new Spans(limits);
  for (let microBatch = 0; microBatch < count; microBatch++) {
    for (const stage of [0, 1]) {
      const at = microBatch * 10 + stage;
      spans.add({ stage, worker: 0, microBatch, rows: 1, readyAt: at, acceptedAt: at, finishedAt: at + 5 });
    }
  }
  return spans;
}

test('a short run is kept whole, in its order', () => {
  const spans = filled(50, { newest: 100, windows: 4 });
  assert.equal(spans.recorded, 100);
  assert.deepEqual(
    spans.all().map(({ microBatch, stage }) => `${microBatch}/${stage}`),
    Array.from({ length: 100 }, (_, n) => `${n >> 1}/${n % 2}`),
  );
});

test('of a run of any length the beginning, the newest spans and evenly spaced complete windows are kept', () => {
  const limits = { newest: 64, windows: 4 };
  fc.assert(
    fc.property(fc.integer({ min: 200, max: 5000 }), (count) => {
      const spans = filled(count, limits);
      const all = spans.all();
      assert.equal(spans.recorded, count * 2);
      assert.ok(all.length <= limits.newest + limits.windows * WINDOW * 2);
      assert.deepEqual(
        all.slice(-limits.newest).map(({ microBatch }) => microBatch),
        Array.from({ length: limits.newest }, (_, n) => count - limits.newest / 2 + (n >> 1)),
      );
      const older = all.slice(0, -limits.newest);
      const windows = grouped(older);
      assert.ok(windows.has(0), 'the beginning');
      const numbers = [...windows.keys()];
      const apart = numbers.slice(1).map((number, n) => number - numbers[n]!);
      assert.equal(new Set(apart).size, 1, `evenly: ${numbers}`);
      for (const number of numbers.slice(0, -1)) assert.equal(windows.get(number)!.length, WINDOW * 2);
    }),
    { numRuns: 40 },
  );
});

function grouped<T extends { microBatch: number }>(spans: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const span of spans) {
    const number = Math.floor(span.microBatch / WINDOW);
    groups.set(number, [...(groups.get(number) ?? []), span]);
  }
  return groups;
}
