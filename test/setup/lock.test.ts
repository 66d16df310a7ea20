/** The set-up lock: waits for the living, takes over from the dead, whatever their number. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
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

test('a dead holder’s lock is taken over', async (t) => {
  const path = join(scratch(t), 'lock');
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  writeFileSync(path, `${pid} 1\n`);
  assert.equal(await withLock(path, never, async () => readFileSync(path, 'utf8').split(' ')[0]), String(process.pid));
});

test('a number that was given to another process since is not taken for the holder', {
  skip: process.platform !== 'linux' && 'only Linux tells when a process started',
}, async (t) => {
  const path = join(scratch(t), 'lock');
  writeFileSync(path, `${process.pid} 1\n`);
  assert.equal(await withLock(path, never, async () => 'in'), 'in');
});

test('a lock whose holder crashed before it wrote its name is taken over', async (t) => {
  const path = join(scratch(t), 'lock');
  writeFileSync(path, '');
  utimesSync(path, 1, 1);
  assert.equal(await withLock(path, never, async () => 'in'), 'in');
});
