/** What the summary tells of a card, from what was watched and the run's own timeline. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cardSummaries } from '../../src/job/card-summary.js';
import type { CardWatched } from '../../src/pipeline/card-watch.js';
import type { Pipeline } from '../../src/pipeline/pipeline.js';
import { Timeline } from '../../src/timeline/timeline.js';

const GIB = 2 ** 30;
const WELL: CardWatched = {
  device: 'gpu',
  name: 'RTX 2060',
  stages: [0],
  totalBytes: 6 * GIB,
  heldBytes: GIB,
  leastFreeBytes: 4 * GIB,
  takenByOthersBytes: 0,
  throttled: [],
  atPowerLimit: 0,
};

/** A run of one stage whose micro-batches of 8 rows take `seconds(n)`, one after the other. */
function ran(microBatches: number, seconds: (n: number) => number, plan: object = {}): Pipeline {
  const timeline = new Timeline([1], 0);
  let at = 0;
  for (let n = 0; n < microBatches; n++) {
    const acceptedAt = at;
    at += seconds(n) * 1e6;
    timeline.record({ stage: 0, thread: 1, microBatch: n, rows: 8, readyAt: acceptedAt, acceptedAt, finishedAt: at });
  }
  return { timeline, plan } as unknown as Pipeline;
}

test('a card that keeps its pace has no notes', () => {
  const [card] = cardSummaries(
    [WELL],
    ran(400, () => 0.05),
  );
  assert.ok(Math.abs(card!.pace!.first - 160) < 5 && Math.abs(card!.pace!.last - 160) < 5, JSON.stringify(card!.pace));
  assert.deepEqual(card!.notes, []);
});

test('a card that becomes slower is named with the reason that fits', () => {
  const slower = ran(400, (n) => (n < 300 ? 0.05 : 0.5));
  const note = (more: Partial<CardWatched>) => cardSummaries([{ ...WELL, ...more }], slower)[0]!.notes.at(-1)!;
  assert.match(
    note({}),
    /computed 1?\d\.\d times slower at the end than at the beginning: its driver reports no reason/,
  );
  assert.match(note({ leastFreeBytes: 0.1 * GIB }), /its memory was full[\s\S]*machine's memory/);
  assert.match(note({ atPowerLimit: 0.9 }), /power limit/);
  assert.match(note({ throttled: [{ reason: 'it is hot', share: 0.5 }] }), /it was held back/);
});

test('a full card and one at its power limit that keep their pace are not noted', () => {
  const steady = ran(400, () => 0.05);
  assert.deepEqual(cardSummaries([{ ...WELL, leastFreeBytes: 0, atPowerLimit: 1 }], steady)[0]!.notes, []);
});

test('a short run, and rows that differ in length, have no pace', () => {
  assert.equal(
    cardSummaries(
      [WELL],
      ran(10, () => 0.5),
    )[0]!.pace,
    null,
  );
  assert.equal(
    cardSummaries(
      [WELL],
      ran(400, () => 0.05, { lengths: {} }),
    )[0]!.pace,
    null,
  );
});
