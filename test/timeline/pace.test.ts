/** The pace: nothing is lost when intervals are made longer, and there are never more of them than fit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PaceCounter } from '../../src/timeline/pace.js';

const span = fc.record({
  lane: fc.integer({ min: 0, max: 2 }),
  acceptedAt: fc.integer({ min: 0, max: 5_000_000 }),
  length: fc.integer({ min: 0, max: 300_000 }),
  rows: fc.integer({ min: 1, max: 64 }),
});

test('all rows and all busy time are counted, each in its interval', () => {
  fc.assert(
    fc.property(fc.array(span, { minLength: 1, maxLength: 40 }), (spans) => {
      const counter = new PaceCounter(3);
      for (const { lane, acceptedAt, length, rows } of spans) {
        counter.addBusy(lane, acceptedAt, acceptedAt + length);
        if (lane === 2) counter.addRows(rows, acceptedAt + length);
      }
      const { intervalSeconds, rows, busySeconds } = counter.pace;
      assert.ok(rows.length <= 512);
      for (const lane of busySeconds) assert.equal(lane.length, rows.length);
      for (let n = 0; n < rows.length; n++) {
        const [from, to] = [n * intervalSeconds * 1e6, (n + 1) * intervalSeconds * 1e6];
        const done = spans.filter(
          ({ lane, acceptedAt, length }) => lane === 2 && acceptedAt + length >= from && acceptedAt + length < to,
        );
        assert.equal(
          rows[n],
          done.reduce((sum, each) => sum + each.rows, 0),
        );
        for (const lane of [0, 1, 2]) {
          const inside = spans
            .filter((each) => each.lane === lane)
            .map(({ acceptedAt, length }) =>
              Math.max(0, Math.min(to, acceptedAt + length) - Math.max(from, acceptedAt)),
            );
          const expected = inside.reduce((a, b) => a + b, 0) / 1e6;
          assert.ok(Math.abs(busySeconds[lane]![n]! - expected) < 1e-9);
        }
      }
    }),
  );
});

test('a run of a month has no more intervals than one of a minute', () => {
  const counter = new PaceCounter(1);
  for (let day = 0; day < 30; day++) {
    const acceptedAt = day * 86_400e6;
    counter.addBusy(0, acceptedAt, acceptedAt + 3_600e6);
    counter.addRows(1, acceptedAt + 3_600e6);
  }
  const { rows, busySeconds } = counter.pace;
  assert.ok(rows.length <= 512);
  assert.equal(
    rows.reduce((a, b) => a + b, 0),
    30,
  );
  assert.ok(Math.abs(busySeconds[0]!.reduce((a, b) => a + b, 0) - 30 * 3600) < 1e-6);
});
