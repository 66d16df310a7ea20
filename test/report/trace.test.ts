/** The trace follows the rules of the format: slices of a thread do not overlap, asynchronous events nest, every arrow has two ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Trace, type TraceEvent, traceOf } from '../../src/report/trace.js';
import { sampleRecord } from './sample-record.js';

/** Throws if an event breaks a rule of the format. */
function checkTrace({ traceEvents }: Trace): void {
  const slices = traceEvents.filter(({ ph }) => ph === 'X');
  for (const [, lane] of grouped(slices, ({ pid, tid }) => `${pid}/${tid}`)) {
    for (const [n, { ts, dur }] of lane.entries()) {
      assert.ok(dur! >= 0);
      if (n > 0) assert.ok(ts >= lane[n - 1]!.ts + lane[n - 1]!.dur!, 'slices of a thread do not overlap');
    }
  }
  for (const [, track] of grouped(
    traceEvents.filter(({ ph }) => ph === 'b' || ph === 'e'),
    ({ cat, id }) => `${cat}/${id}`,
  )) {
    const open: TraceEvent[] = [];
    let before = 0;
    for (const event of track) {
      assert.ok(event.ts >= before, 'a track goes forward in time');
      before = event.ts;
      if (event.ph === 'b') open.push(event);
      else assert.equal(open.pop()?.name, event.name, 'events end in reverse order');
    }
    assert.deepEqual(open, []);
  }
  const inside = ({ pid, tid, ts }: TraceEvent) =>
    slices.some((slice) => slice.pid === pid && slice.tid === tid && slice.ts <= ts && ts <= slice.ts + slice.dur!);
  for (const [id, ends] of grouped(
    traceEvents.filter(({ ph }) => ph === 's' || ph === 'f'),
    (event) => String(event.id),
  )) {
    assert.deepEqual(
      ends.map(({ ph }) => ph),
      ['s', 'f'],
      `arrow ${id}`,
    );
    assert.ok(ends[0]!.ts <= ends[1]!.ts, 'an arrow goes forward in time');
    assert.ok(ends.every(inside), 'both ends are at slices');
    assert.equal(ends[1]!.bp, 'e');
  }
}

function grouped<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) groups.set(keyOf(value), [...(groups.get(keyOf(value)) ?? []), value]);
  return groups;
}

test('for any stages, workers and times, the rules hold and nothing is missing', () => {
  const stage = fc.record({ micros: fc.integer({ min: 0, max: 3000 }), workers: fc.integer({ min: 1, max: 3 }) });
  fc.assert(
    fc.property(fc.array(stage, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 30 }), (stages, m) => {
      const sample = { stageMicros: stages.map(({ micros }) => micros), workers: stages.map(({ workers }) => workers) };
      const trace = traceOf(sampleRecord({ ...sample, microBatches: m }));
      checkTrace(trace);
      const many = (ph: string) => trace.traceEvents.filter((event) => event.ph === ph).length;
      assert.equal(many('X'), m * stages.length);
      assert.equal(many('s'), m * (stages.length - 1));
      assert.equal(many('f'), many('s'));
      assert.equal(many('b'), many('e'));
    }),
    { numRuns: 60 },
  );
});

test('processes and threads are named, and a slice has its stage, micro-batch and rows', () => {
  const { traceEvents } = traceOf(sampleRecord({ microBatches: 3, stageMicros: [50, 60], workers: [1, 2] }));
  const names = traceEvents
    .filter(({ name }) => /_name$/.test(name))
    .map(({ pid, tid, args }) => [pid, tid, args!.name]);
  assert.deepEqual(names, [
    [1, 0, 'job'],
    [2, 0, 'stage 0 · gpu (AMD EPYC), layers 0..6'],
    [3, 0, 'stage 1 · cpu (AMD EPYC), layers 7..13'],
    [2, 1, 'gpu worker 0'],
    [3, 2, 'cpu worker 0'],
    [3, 3, 'cpu worker 1'],
  ]);
  const slice = traceEvents.find(({ ph, pid }) => ph === 'X' && pid === 3)!;
  assert.deepEqual(slice.args, { stage: 1, microBatch: 0, rows: 64 });
  const ways = traceEvents.filter(({ ph, cat, args }) => ph === 'b' && cat === 'micro-batch' && args);
  assert.deepEqual(
    ways.map(({ name, args }) => [name, args!.microBatch]),
    [0, 1, 2].map((microBatch) => ['micro-batch', microBatch]),
  );
});

test('the checker sees an overlap, an arrow without its end and a track that does not close', () => {
  const { traceEvents, ...rest } = traceOf(sampleRecord({ microBatches: 4 }));
  const broken: ((event: TraceEvent) => TraceEvent[])[] = [
    (event) => (event.ph === 'X' ? [{ ...event, dur: event.dur! + 1e6 }] : [event]),
    (event) => (event.ph === 'f' ? [] : [event]),
    (event) => (event.ph === 'e' ? [] : [event]),
  ];
  for (const breaking of broken)
    assert.throws(() => checkTrace({ ...rest, traceEvents: traceEvents.flatMap(breaking) }));
});
