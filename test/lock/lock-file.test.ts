/** The lock file, with owners that are alive, dead at any moment, suspended, or not visible. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inNamespace, noNamespaces } from '../../scripts/kill-run/namespace.js';
import { Race, Racer, SIGNS } from '../../scripts/race-locks/race.js';
import { LockFile, lockHolder } from '../../src/lock/lock-file.js';

const notLinux = !existsSync('/proc/self/stat') && 'needs /proc';
/** System calls can be made to fail only under strace. */
const noStrace =
  spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status !== 0 && 'needs strace and permission to trace';
const noBindfs = spawnSync('bindfs', ['--version']).status !== 0 && 'needs bindfs';
/** Node without addons has no kernel locks. */
const BARE = { node: ['--no-addons'] };

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

function racer(t: TestContext, options: ConstructorParameters<typeof Racer>[0] = {}): Racer {
  const one = new Racer(options);
  t.after(() => one.end());
  return one;
}

/** As if its owner had not renewed it for longer than a lease. */
const expire = (path: string) => utimesSync(path, 1, 1);

test('a live holder is reported, and release leaves no files', async (t) => {
  const folder = scratch(t);
  const path = join(folder, 'lock');
  const lock = await takes(path);
  const held = await LockFile.take(path);
  assert(!(held instanceof LockFile));
  assert.deepEqual([held.owner?.pid, held.owner?.host], [process.pid, hostname()]);
  assert.equal((await lockHolder(path))?.owner?.pid, process.pid);
  assert.ok(lock.isFresh && (await lock.isHeld()));
  assert.deepEqual(readdirSync(folder), ['lock']);
  await lock.release();
  await lock.release();
  assert.equal(await lockHolder(path), null);
  assert.deepEqual(readdirSync(folder), []);
});

test('a pid that was reused by another process is not the owner', { skip: notLinux }, async (t) => {
  const path = join(scratch(t), 'lock');
  const owner = racer(t, BARE);
  await owner.ask('take', path);
  const text = JSON.parse(readFileSync(path, 'utf8'));
  assert.equal((await LockFile.take(path)) instanceof LockFile, false, 'it lives');
  writeFileSync(path, JSON.stringify({ ...text, started: '1' }));
  await (await takes(path)).release();
});

test('the file of another program is not touched, unless only tandem uses the path', async (t) => {
  const path = join(scratch(t), 'lock');
  for (const text of ['not ours', '{"pid":-1}', 'null']) {
    writeFileSync(path, text);
    expire(path);
    const held = await LockFile.take(path);
    assert(!(held instanceof LockFile), text);
    assert.equal(held.owner, null);
    assert.equal(readFileSync(path, 'utf8'), text);
    const lock = await LockFile.take(path, { ours: true });
    assert(lock instanceof LockFile);
    await lock.release();
    assert(!existsSync(path));
  }
});

test('a file that a system crash left empty, or of an older version, is void after its lease', async (t) => {
  const path = join(scratch(t), 'lock');
  for (const text of ['', '\0\0\0', JSON.stringify({ host: 'elsewhere', pid: 1, started: '' })]) {
    writeFileSync(path, text);
    expire(path);
    assert.equal(await lockHolder(path), null);
    await (await takes(path)).release();
  }
});

for (const sign of SIGNS) {
  const skip = sign !== 'lease' && notLinux;
  test(`of eight processes that find a dead owner's lock, one gets it, by the ${sign}`, { skip }, async (t) => {
    const race = new Race(scratch(t), sign, 8);
    t.after(() => race.end());
    for (let round = 0; round < 25; round++) await race.round();
  });
}

test('on a file system without hard links too', { skip: noStrace }, async (t) => {
  const folder = scratch(t);
  const path = join(folder, 'lock');
  const through = [
    'strace',
    '-f',
    '-qq',
    '-e',
    'trace=link,linkat',
    '-e',
    'inject=link,linkat:error=EPERM',
    '-o',
    '/dev/null',
  ];
  const [a, b] = [1, 2].map(() => racer(t, { through })) as [Racer, Racer];
  const answers = await Promise.all([a.ask('take', path), b.ask('take', path)]);
  const [winner, loser] = answers[0].by === 'me' ? [a, b] : [b, a];
  assert.deepEqual(answers.map(({ by }) => by === 'me').sort(), [false, true]);
  assert.equal((await winner.ask('look')).isHeld, true);
  await winner.end();
  assert.equal((await loser.ask('take', path)).by, 'me');
  await loser.ask('release');
  assert.deepEqual(readdirSync(folder), []);
});

test('on a file system that grants locks but does not enforce them, leases decide', {
  skip: noBindfs || noNamespaces,
}, async (t) => {
  const mount = mkdtempSync(join(tmpdir(), 'tandem-lock-'));
  t.after(() => {
    spawnSync('umount', ['--lazy', mount]);
    rmdirSync(mount);
  });
  assert.equal(spawnSync('bindfs', [scratch(t), mount], { stdio: 'ignore' }).status, 0);
  const path = join(mount, 'lock');
  const [a, b] = ['pod-a', 'pod-b'].map((host) => racer(t, { through: inNamespace({ host }) })) as [Racer, Racer];
  assert.deepEqual(await a.ask('take', path), { by: 'me', pid: 1 });
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).kernel, null);
  assert.deepEqual(await b.ask('take', path), { by: 1, host: 'pod-a', pid: 1 });
});

test('a lock that a server keeps for a dead host ends with its lease', { skip: notLinux }, async (t) => {
  const path = join(scratch(t), 'lock');
  const owner = racer(t);
  await owner.ask('take', path);
  const text = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...text, host: 'elsewhere', boot: 'another', kernel: 'another 1' }));
  expire(path);
  await (await takes(path)).release();
});

test('files of processes that were killed while they took or released a lock are removed by the next', async (t) => {
  const folder = scratch(t);
  for (const name of ['lock.0123456789ab', 'lock.0123456789ab.new', 'lock.mine']) writeFileSync(join(folder, name), '');
  await (await takes(join(folder, 'lock'))).release();
  assert.deepEqual(readdirSync(folder), ['lock.mine']);
});

test('it can be taken again and again from owners that were killed', { skip: notLinux }, async (t) => {
  const folder = scratch(t);
  const path = join(folder, 'lock');
  for (let n = 0; n < 3; n++) {
    const owner = racer(t);
    assert.equal((await owner.ask('take', path)).by, 'me');
    await owner.end();
    assert.equal(readdirSync(folder).length, n + 1, 'a chain of claims');
  }
  await (await takes(path)).release();
  assert.deepEqual(readdirSync(folder), []);
});

test('a child process of the owner does not keep its lock', { skip: notLinux }, async (t) => {
  const path = join(scratch(t), 'lock');
  const url = new URL('../../src/lock/lock-file.js', import.meta.url).href;
  const text = `
    import { spawn } from 'node:child_process';
    const { LockFile } = await import(${JSON.stringify(url)});
    await LockFile.take(process.argv[1]);
    const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' });
    process.stdout.write(String(child.pid));
    child.unref();
    process.kill(process.pid, 'SIGKILL');
  `;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', text, path], { encoding: 'utf8' });
  t.after(() => process.kill(Number(stdout), 'SIGKILL'));
  process.kill(Number(stdout), 0);
  await (await takes(path)).release();
});

test('another pid namespace with the same host name sees whether the owner is alive or was killed', {
  skip: noNamespaces,
}, async (t) => {
  const path = join(scratch(t), 'lock');
  const [a, b] = [1, 2].map(() => racer(t, { through: inNamespace({ host: hostname() }) })) as [Racer, Racer];
  assert.deepEqual(await a.ask('take', path), { by: 'me', pid: 1 });
  assert.deepEqual(await b.ask('take', path), { by: 1, host: hostname(), pid: 1 });
  assert(!((await LockFile.take(path)) instanceof LockFile));
  assert.deepEqual(await a.ask('look'), { isHeld: true, pid: 1 });
  await a.end();
  assert.equal(await lockHolder(path), null);
  assert.deepEqual(await b.ask('take', path), { by: 'me', pid: 1 });
});

test('without kernel locks, an owner that is not visible holds the lock as long as it renews its lease', {
  skip: noNamespaces,
}, async (t) => {
  const path = join(scratch(t), 'lock');
  const a = racer(t, { ...BARE, through: inNamespace({ host: 'pod-a' }) });
  const b = racer(t, { ...BARE, through: inNamespace({ host: 'pod-b' }) });
  assert.deepEqual(await a.ask('take', path), { by: 'me', pid: 1 });
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).kernel, null);
  // It waits until the lease is renewed.
  assert.deepEqual(await b.ask('take', path), { by: 1, host: 'pod-a', pid: 1 });
  assert.equal((await lockHolder(path))?.owner?.host, 'pod-a');
  await a.end();
  expire(path);
  assert.deepEqual(await b.ask('take', path), { by: 'me', pid: 1 });
});

test('an owner that was suspended until its lease expired notices it, and leaves the lock to the next', {
  skip: noNamespaces,
}, async (t) => {
  const folder = scratch(t);
  const path = join(folder, 'lock');
  const a = racer(t, { ...BARE, through: inNamespace({ host: 'pod-a' }) });
  assert.equal((await a.ask('take', path)).by, 'me');
  process.kill(a.pid, 'SIGSTOP');
  expire(path);
  const lock = await takes(path);
  process.kill(a.pid, 'SIGCONT');
  assert.deepEqual(await a.ask('look'), { isHeld: false, pid: 1 });
  await a.ask('release');
  assert.ok(await lock.isHeld(), 'it has removed nothing');
  await lock.release();
  assert.deepEqual(readdirSync(folder), []);
});

test('a renewed lease is not taken over, even if the clocks of hosts differ', { skip: notLinux }, async (t) => {
  const path = join(scratch(t), 'lock');
  const owner = racer(t, BARE);
  await owner.ask('take', path);
  const { mtimeMs } = statSync(path);
  const ahead = Date.now() + 3_600_000;
  t.mock.method(Date, 'now', () => ahead);
  const held = await LockFile.take(path);
  assert(!(held instanceof LockFile));
  assert.ok(held.renewedMs < 30_000, `${held.renewedMs} ms`);
  assert.equal(statSync(path).mtimeMs, mtimeMs);
});

test('a machine that slept, and a lock that was removed or replaced by hand, are noticed', async (t) => {
  const folder = scratch(t);
  const path = join(folder, 'lock');
  const lock = await takes(path);
  const later = Date.now() + 40_000;
  const clock = t.mock.method(Date, 'now', () => later);
  assert.equal(lock.isFresh, false);
  assert.equal(await lock.isHeld(), true, 'no other process has taken it meanwhile');
  assert.equal(lock.isFresh, true);
  clock.mock.restore();
  renameSync(path, `${path}.away`);
  const next = await takes(path);
  assert.equal(await lock.isHeld(), false);
  await lock.release();
  assert.equal(await next.isHeld(), true);
  await next.release();
});
