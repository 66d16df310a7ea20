/** The columns of a record: what prepared the rows, since the run began. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { preparingColumns } from '../../src/report/columns.js';

/** Microseconds at which the run begins. */
const BEGAN = 1000;

const span = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 8 }), fc.nat(2 * BEGAN), fc.nat(500))
  .map(([thread, rows, startedAt, took]) => ({ thread, rows, startedAt, finishedAt: startedAt + took }));

test('calls that ended after the run began are drawn, in their order, none before its begin, and lanes are numbered from 0', () => {
  fc.assert(
    fc.property(fc.array(span), (spans) => {
      const use = { rows: 9, rowsBefore: 2, busySeconds: 0.5, spans };
      const preparing = { what: 'decode images', usualThreads: 1, threads: 2, secondsPerRow: null, use };
      const columns = preparingColumns({ ...preparing, measure: async () => {} }, BEGAN);
      const drawn = spans.filter(({ finishedAt }) => finishedAt > BEGAN);
      assert.deepEqual(
        columns.spans.rows,
        drawn.map(({ rows }) => rows),
      );
      assert.deepEqual(
        columns.spans.startedAt,
        drawn.map(({ startedAt }) => Math.max(0, startedAt - BEGAN)),
      );
      assert.deepEqual(
        columns.spans.finishedAt,
        drawn.map(({ finishedAt }) => finishedAt - BEGAN),
      );
      const threads = [...new Set(drawn.map(({ thread }) => thread))].sort();
      assert.deepEqual(
        columns.spans.lane,
        drawn.map(({ thread }) => threads.indexOf(thread)),
      );
      const { what, rows, rowsBefore, busySeconds } = columns;
      assert.deepEqual([what, rows, rowsBefore, busySeconds], ['decode images', 9, 2, 0.5]);
    }),
  );
});
