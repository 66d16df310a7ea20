/** The recommendation of a bench. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recommend } from '../../src/bench/recommendation.js';
import { madeCase, madeResult } from './made-result.js';

const single = madeCase({ name: 'one worker', rate: 50, depth: 1 });

test('the fastest is best, and of those alike the one that holds the fewest weights', () => {
  const whole = madeCase({ name: 'whole', rate: 80 });
  const twice = madeCase({ name: 'two workers', rate: 101, weightBytes: 200 });
  const split = madeCase({
    name: 'split',
    rate: 100,
    stages: [
      ['cpu', 0.01],
      ['cpu', 0.01],
    ],
  });
  const { best, speedUp, flags } = recommend(madeResult([whole, twice, split]));
  assert.deepEqual([best, speedUp, flags], ['split', 100 / 80, '--stage split']);
  const faster = madeCase({ name: 'two workers', rate: 120, weightBytes: 200 });
  assert.equal(recommend(madeResult([whole, faster, split])).best, 'two workers');
});

test('noise does not choose: the faster is best, and what its rounds cannot tell from it is said', () => {
  const split = madeCase({ name: 'split', rate: 110 });
  const twice = madeCase({ name: 'two workers', rate: 120, weightBytes: 200 });
  // Slower in each round but one.
  const unsure = { ...split, repetitions: twice.repetitions.map((rate, n) => (n === 3 ? 1.1 : 0.9) * rate) };
  const { best, alike } = recommend(madeResult([unsure, twice]));
  assert.deepEqual([best, alike], ['two workers', ['split']]);
  const sure = { ...split, repetitions: twice.repetitions.map((rate) => 0.9 * rate) };
  assert.deepEqual(recommend(madeResult([sure, twice])).alike, []);
});

test('cores help as much as the doublings before them did', () => {
  const { helps } = recommend(madeResult([madeCase({ name: 'whole', rate: 90, stages: [['cpu', 0.01, 2]] }), single]));
  assert.deepEqual(
    helps.map(({ change, gain }) => [change, gain]),
    [['4 cores instead of 2', 1.8]],
  );
});

test('what would help most stands first: here an even cut before the link', () => {
  const split = madeCase({
    name: 'split',
    rate: 90,
    stages: [
      ['cpu', 0.03],
      ['cpu', 0.01],
    ],
    efficiency: 0.9,
  });
  const { helps } = recommend(madeResult([split]));
  assert.deepEqual(
    helps.map(({ change }) => change),
    ['stages of the same length', 'no time between the stages'],
  );
  assert.deepEqual(
    helps.map(({ gain }) => gain.toFixed(2)),
    ['1.50', '1.11'],
  );
});

test('a card that waits could take layers, one that is waited for could not', () => {
  const waits = madeCase({
    name: 'split',
    rate: 90,
    stages: [
      ['gpu', 0.01],
      ['cpu', 0.04],
    ],
  });
  const help = recommend(madeResult([waits])).helps.find(({ change }) => change === 'more memory on the card');
  // 4 layers in 10 ms and 4 in 40 ms: 500 layers a second together, so 8 layers take 16 ms.
  assert.equal(help?.gain.toFixed(2), '2.50');
  const leads = madeCase({
    name: 'split',
    rate: 90,
    stages: [
      ['gpu', 0.04],
      ['cpu', 0.01],
    ],
  });
  assert.ok(recommend(madeResult([leads])).helps.every(({ change }) => change !== 'more memory on the card'));
});
