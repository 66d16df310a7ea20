/** The drawn timeline: boxes, numbers, windows and labels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawTimeline } from '../../src/timeline/draw.js';
import type { Span } from '../../src/timeline/spans.js';

/** Microseconds of one column. */
const COLUMN = 1000;

function span(stage: number, microBatch: number, from: number, to: number, worker = 0): Span {
  const [acceptedAt, finishedAt] = [from * COLUMN, to * COLUMN];
  return { stage, worker, microBatch, rows: 32, readyAt: acceptedAt, acceptedAt, finishedAt };
}

/** Lanes of `columns` columns under labels of three letters. */
const draw = (spans: readonly Span[], columns: number, names = ['gpu', 'cpu'], window = {}) =>
  drawTimeline(spans, { names, width: columns + 6, ...window }).split('\n');

test('a micro-batch is a numbered box in each lane, boxes alternate in shade, and waiting is blank', () => {
  const spans = [span(0, 7, 0, 5), span(0, 8, 5, 10), span(1, 7, 5, 11), span(0, 9, 10, 15), span(1, 8, 12, 18)];
  assert.deepEqual(draw(spans, 18), [
    'gpu │██7██▒▒8▒▒██9██   │',
    'cpu │     ██7███ ▒▒8▒▒▒│',
    '    └──────────── 18 ms┘',
  ]);
});

test('a number without room is left out, and a box shorter than a column is still visible', () => {
  const spans = [span(0, 10, 0, 3), span(0, 11, 3, 7), span(0, 12, 9, 9.1), span(0, 13, 11.9, 12)];
  assert.equal(draw(spans, 12)[0], 'gpu │▒▒▒█11█  ▒ █│');
});

test('each worker of a stage has a lane of its own', () => {
  const spans = [span(0, 0, 0, 4), span(0, 1, 1, 6, 1), span(0, 2, 4, 6)];
  assert.deepEqual(draw(spans, 6).slice(0, 2), ['gpu │▒0▒▒██│', 'gpu │ ██1██│']);
});

test('a window shows the spans inside it, cut at its edges; a worker without any has an empty lane', () => {
  const spans = [span(0, 0, 0, 4), span(0, 1, 4, 8), span(0, 2, 8, 12), span(1, 0, 4, 6)];
  const window = { from: 6 * COLUMN, to: 10 * COLUMN };
  assert.deepEqual(draw(spans, 8, undefined, window), ['gpu │█1██▒2▒▒│', 'cpu │        │', '    └─── 4 ms┘']);
  assert.equal(draw([], 4).join(), '');
});

test('a stage without a name is called by its number', () => {
  assert.match(draw([span(2, 0, 0, 1)], 9)[0]!, /^stage 2 │/);
});
