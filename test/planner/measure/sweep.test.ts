/** The micro-batch is searched on a stretch of the model that represents all of it, and each size is timed in its steady state. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LayerRange } from '../../../src/plan/stage-options.js';
import type { Segment } from '../../../src/planner/measure/segment.js';
import { bestMicroBatch } from '../../../src/planner/measure/sweep.js';

function segmentsOf(works: readonly number[]): Segment[] {
  return works.map((work, n) => ({
    layers: { from: n, to: n },
    ops: { from: n, to: n + 1 },
    kind: n,
    work,
    shares: [1],
  }));
}

/** Measurements of a model whose layers take `seconds` for so many rows. The first ones at each size are slow, because the engine prepares for it. */
function measurements(seconds: (ops: LayerRange, rows: number) => number, preparing: number) {
  const seen = new Map<number, number>();
  const asked: LayerRange[] = [];
  const time = async (ops: LayerRange, rows: number) => {
    const count = seen.get(rows) ?? 0;
    seen.set(rows, count + 1);
    asked.push(ops);
    return { seconds: seconds(ops, rows) * (count < preparing ? 3 : 1), loadedBytes: null, peakBytes: null };
  };
  return { asked, stopwatch: { time, roundTrip: async () => 0 } };
}

test('the runs in which an engine prepares for a new size do not count', async () => {
  for (const preparing of [0, 1, 2]) {
    // A micro-batch costs as much as four rows besides its own: above 128, more rows gain less than 3 %.
    const { stopwatch } = measurements((_, rows) => (4 + rows) / 1e4, preparing);
    assert.equal(await bestMicroBatch(stopwatch, segmentsOf([1]), 256), 128, `${preparing}`);
  }
});

test('sizes are tried on the fewest consecutive segments that hold a sixth of the work', async () => {
  const works = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(works, async (works) => {
      const { asked, stopwatch } = measurements(() => 0.01, 0);
      await bestMicroBatch(stopwatch, segmentsOf(works), 4);
      const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
      const holds = (from: number, count: number) => sum(works.slice(from, from + count)) * 6 >= sum(works);
      const { from, to } = asked[0]!;
      assert.ok(asked.every((ops) => ops.from === from && ops.to === to));
      if (sum(works) === 0) return;
      assert.ok(holds(from, to - from));
      assert.ok(works.every((_, n) => n + to - from - 1 > works.length || !holds(n, to - from - 1)));
    }),
  );
});
