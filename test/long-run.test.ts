/** A long run in little: rows that throw, kill and hang now and then leave nothing behind them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Held, longRun } from '../bench/long-run.js';
import { noProc } from './fixtures/children.js';

test('memory, handles and shared memory stay as they are while rows fail', { skip: noProc }, async () => {
  const samples: Held[] = [];
  const work = { rows: 4000, microBatch: 20, faultEvery: 100, deathEvery: 1000, hangEvery: 4000 };
  const { failed, expected } = await longRun(work, (held) => samples.push(held));
  assert.equal(expected, 40);
  assert.equal(failed, expected);
  const [first, last] = [samples[1]!, samples.at(-1)!];
  assert.ok(last.rows >= 4000 && first.rows < 1000);
  for (const key of ['coordinatorHandles', 'stagesHandles', 'sharedFiles', 'namedSharedFiles'] as const) {
    assert.equal(last[key], first[key], key);
  }
  // Two semi-spaces of young objects; a slot or a host that stayed would show in the handles above.
  assert.ok(
    last.coordinatorRss - first.coordinatorRss < 48 * 2 ** 20,
    `${first.coordinatorRss}, ${last.coordinatorRss}`,
  );
});
