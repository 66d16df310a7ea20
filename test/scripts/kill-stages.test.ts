/** A few kills of stages at random times; scripts/kill-stages.ts does hundreds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { killEarly } from '../../scripts/kill-stages/early.js';
import { notLinux } from '../../scripts/kill-stages/processes.js';
import { checks, killStages } from '../../scripts/kill-stages.js';

test('stages that are killed at random times change no result and leave nothing behind', {
  skip: notLinux,
}, async () => {
  const aftermath = await killStages({ kills: 3, stages: 2, seed: 7 });
  assert.deepEqual(
    checks(aftermath).filter(({ holds }) => !holds),
    [],
  );
  assert.ok(aftermath.rows > 0);
});

test('stages that are killed in the first seconds of whole runs change neither bytes nor exit status', {
  skip: notLinux,
}, async () => {
  const { kills, runs, wrong } = await killEarly({ kills: 4, seconds: 3, seed: 3 });
  assert.deepEqual(wrong, []);
  assert.ok(kills === 4 && runs > 0);
});
