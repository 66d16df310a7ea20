/** A few kills at random moments, as scripts/kill-stages.ts deals them out by the hundred. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notLinux } from '../../scripts/kill-stages/processes.js';
import { killStages, verdicts } from '../../scripts/kill-stages.js';

test('stages that are killed at random moments leave the same results and nothing behind', {
  skip: notLinux,
}, async () => {
  const aftermath = await killStages({ kills: 3, stages: 2, seed: 7 });
  assert.deepEqual(
    verdicts(aftermath).filter(({ holds }) => !holds),
    [],
  );
  assert.ok(aftermath.rows > 0);
});
