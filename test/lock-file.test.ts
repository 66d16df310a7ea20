/** A file that one process holds, among processes that live, have died at any moment, or run elsewhere. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LockFile, lockOwner } from '../src/lock-file.js';

function scratch(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tandem-lock-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function takes(path: string): Promise<LockFile> {
  const lock = await LockFile.take(path);
  assert(lock instanceof LockFile, 'it is held');
  return lock;
}

const dead = () => JSON.stringify({ host: hostname(), pid: spawnSync(process.execPath, ['-e', '']).pid, started: '' });

test('whoever holds it and lives is told', async (t) => {
  const path = join(scratch(t), 'lock');
  const lock = await takes(path);
  const held = await LockFile.take(path);
  assert(!(held instanceof LockFile));
  assert.equal(held.owner?.pid, process.pid);
  assert.equal((await lockOwner(path))?.pid, process.pid);
  await lock.release();
  assert.equal(await lockOwner(path), null);
});

test('a number that was given to another process since is no owner', {
  skip: !existsSync('/proc/self/stat') && 'needs /proc',
}, async (t) => {
  const path = join(scratch(t), 'lock');
  await takes(path);
  const owner = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...owner, started: 'another boot 123' }));
  await (await takes(path)).release();
});

test('the lock of another machine, or of another program, is left alone', async (t) => {
  const path = join(scratch(t), 'lock');
  for (const text of [JSON.stringify({ host: 'elsewhere', pid: 1, started: '' }), 'not ours', '{"pid":-1}', 'null']) {
    writeFileSync(path, text);
    assert(!((await LockFile.take(path)) instanceof LockFile), text);
    assert.equal(readFileSync(path, 'utf8'), text);
  }
});

test('one whose owner was killed before it wrote its name is void', async (t) => {
  const path = join(scratch(t), 'lock');
  writeFileSync(path, '');
  utimesSync(path, 1, 1);
  await (await takes(path)).release();
});

test('one that is just being written is waited for', async (t) => {
  const path = join(scratch(t), 'lock');
  writeFileSync(path, '');
  const second = LockFile.take(path);
  writeFileSync(path, JSON.stringify({ host: 'elsewhere', pid: 1, started: '' }));
  assert(!((await second) instanceof LockFile));
});

test('of many that find a dead owner, one gets the lock', async (t) => {
  const folder = scratch(t);
  const path = join(folder, 'lock');
  const owner = dead();
  for (let round = 0; round < 10; round++) {
    writeFileSync(path, owner);
    const locks = await Promise.all(Array.from({ length: 8 }, () => LockFile.take(path)));
    const won = locks.filter((lock) => lock instanceof LockFile);
    assert.equal(won.length, 1);
    for (const lock of won) await lock.release();
    assert.deepEqual(readdirSync(folder), []);
  }
});

test('what was left by one that was killed while it moved a void lock goes with the next lock', async (t) => {
  const folder = scratch(t);
  writeFileSync(join(folder, 'lock.123.0'), dead());
  writeFileSync(join(folder, 'lock.123.0.mine'), '');
  await (await takes(join(folder, 'lock'))).release();
  assert.deepEqual(readdirSync(folder), ['lock.123.0.mine']);
});
