/** The set-up lock: waits for the living, takes over from the dead. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { withLock } from '../../src/setup/lock.js';
import { scratch } from './tiny-tensorflow.js';

const never = (pid: number) => assert.fail(`waited for ${pid}`);

test('one works at a time, and the one that waits is told for whom', async (t) => {
  const path = join(scratch(t), 'new', 'folder', 'lock');
  const events: string[] = [];
  let finishFirst = () => {};
  const finished = new Promise<void>((resolve) => (finishFirst = resolve));
  const first = withLock(path, never, async () => {
    events.push('first in');
    await finished;
    events.push('first out');
  });
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

test('it is given back when the work fails', async (t) => {
  const path = join(scratch(t), 'lock');
  await assert.rejects(
    withLock(path, never, () => Promise.reject(new Error('no'))),
    /no/,
  );
  assert.equal(existsSync(path), false);
});

test('a dead holder’s lock is taken over, and so is one in words of another version', async (t) => {
  const path = join(scratch(t), 'lock');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  for (const text of [JSON.stringify({ host: hostname(), pid, started: '' }), `${pid} 1\n`]) {
    writeFileSync(path, text);
    assert.equal(await withLock(path, never, async () => 'in'), 'in');
  }
});
