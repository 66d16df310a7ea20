/** Cooperative steps: run cooperatively, they let the event loop run; run to the end, they do not. The result is the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CooperativeSteps, runCooperatively, runToEnd } from '../../../src/planner/search/cooperative.js';

/** Yields until the event loop has run once, or at most `most` times. */
function* untilInterrupted(most: number): CooperativeSteps<boolean> {
  let interrupted = false;
  setImmediate(() => {
    interrupted = true;
  });
  for (let n = 0; n < most && !interrupted; n++) yield;
  return interrupted;
}

test('the event loop runs between cooperative steps, and not while they are run to the end', async () => {
  assert.equal(await runCooperatively(untilInterrupted(Number.POSITIVE_INFINITY)), true);
  assert.equal(runToEnd(untilInterrupted(1000)), false);
});

test('an error in a step reaches the caller', async () => {
  function* broken(): CooperativeSteps<void> {
    yield;
    throw new RangeError('broken');
  }
  assert.throws(() => runToEnd(broken()), /broken/);
  await assert.rejects(runCooperatively(broken()), /broken/);
});
