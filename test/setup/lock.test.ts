/** The setup lock: waits for a live holder, takes over a stale lock. */
import assert from 'node:assert/strict';
import { existsSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Racer } from '../../scripts/race-locks/race.js';
import { withLock } from '../../src/setup/lock.js';
import { scratch } from './tiny-tensorflow.js';

const never = (pid: number) => assert.fail(`waited for ${pid}`);

test('one setup runs at a time, and a waiting one gets the pid of the holder', async (t) => {
  const path = join(scratch(t), 'new', 'folder', 'lock');
  const events: string[] = [];
  let finishFirst = () => {};
  const finished = new Promise<void>((resolve) => (finishFirst = resolve));
  let enter = () => {};
  const entered = new Promise<void>((resolve) => (enter = resolve));
  const first = withLock(path, never, async () => {
    events.push('first in');
    enter();
    await finished;
    events.push('first out');
  });
  await entered;
  const second = withLock(
    path,
    (pid) => {
      assert.equal(pid, process.pid);
      events.push('second waits');
      finishFirst();
    },
    async () => events.push('second in'),
  );
  await Promise.all([first, second]);
  assert.deepEqual(events, ['first in', 'second waits', 'first out', 'second in']);
  assert.equal(existsSync(path), false);
});

test('it is released if the work fails', async (t) => {
  const path = join(scratch(t), 'lock');
  await assert.rejects(
    withLock(path, never, () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(existsSync(path), false);
});

test('a dead holder’s lock is taken over, and so is one in the format of another version', async (t) => {
  const path = join(scratch(t), 'lock');
  const holder = new Racer();
  await holder.ask('take', path);
  await holder.end();
  assert.equal(await withLock(path, never, async () => 'in'), 'in');
  for (const text of [JSON.stringify({ host: 'elsewhere', pid: 1, started: '' }), '123 1\n']) {
    writeFileSync(path, text);
    utimesSync(path, 1, 1);
    assert.equal(await withLock(path, never, async () => 'in'), 'in');
  }
});
