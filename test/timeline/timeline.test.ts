/** The timeline: lanes stay while workers are replaced. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Timeline } from '../../src/timeline/timeline.js';

/** Records spans of one stage, by the thread that computed each. */
function recorded(workers: number, threads: readonly number[]): Timeline {
  const timeline = new Timeline([workers], 0);
  for (const [n, thread] of threads.entries()) {
    const times = { readyAt: n * 10, acceptedAt: n * 10, finishedAt: n * 10 + 8 };
    timeline.record({ stage: 0, thread, microBatch: n, rows: 4, ...times });
  }
  return timeline;
}

const workersOf = (timeline: Timeline) => timeline.spans.map(({ worker }) => worker);

test('workers are numbered in the order of their first spans', () => {
  assert.deepEqual(workersOf(recorded(3, [17, 4, 9, 4, 17, 9])), [0, 1, 2, 1, 0, 2]);
});

test('a worker that replaces a dead one takes its lane: the lane whose last span is oldest', () => {
  // 4 dies after its second micro-batch; 23 replaces it.
  assert.deepEqual(workersOf(recorded(2, [3, 4, 3, 4, 3, 3, 23, 3, 23])), [0, 1, 0, 1, 0, 0, 1, 0, 1]);
  assert.deepEqual(workersOf(recorded(1, [3, 8, 8])), [0, 0, 0]);
});

test('each lane of the pace holds what its worker did', () => {
  const { lanes, pace } = recorded(2, [5, 6, 5]);
  assert.deepEqual(lanes, [
    { stage: 0, worker: 0 },
    { stage: 0, worker: 1 },
  ]);
  const busy = pace.busySeconds.map((lane) => lane.reduce((a, b) => a + b, 0) * 1e6);
  assert.deepEqual(busy.map(Math.round), [16, 8]);
});
