/** One writer per output, across processes that live, have died, or run elsewhere. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { lockPath, OutputLock } from '../../src/job/output-lock.js';
import { tempFolder } from './temp-folder.js';

const LOCK_URL = new URL('../../src/job/output-lock.js', import.meta.url).href;
const TAKE = `
  const { OutputLock } = await import(${JSON.stringify(LOCK_URL)});
  await OutputLock.take(process.argv[1]);
  process.stdout.write('taken');
`;

test('taken once, free again after release', async (t) => {
  const output = tempFolder(t)('out.npy');
  const lock = await OutputLock.take(output);
  await assert.rejects(OutputLock.take(output), { code: 'TANDEM_OUTPUT_EXISTS', remedy: /out\.npy\.lock$/ });
  await lock.release();
  await lock.release();
  assert(!existsSync(lockPath(output)));
  await (await OutputLock.take(output)).release();
});

test('a process that lives holds it, and one that was killed does not', async (t) => {
  const output = tempFolder(t)('out.npy');
  const holder = spawn(
    process.execPath,
    ['--input-type=module', '-e', `${TAKE}; setInterval(() => {}, 1000)`, output],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  t.after(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  await assert.rejects(OutputLock.take(output), {
    code: 'TANDEM_OUTPUT_EXISTS',
    message: `the output ${output} is being written by process ${holder.pid}`,
  });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await (await OutputLock.take(output)).release();
});

test('a number that was given to another process since is no owner', {
  skip: !existsSync('/proc/self/stat') && 'needs /proc',
}, async (t) => {
  const output = tempFolder(t)('out.npy');
  await OutputLock.take(output);
  const owner = JSON.parse(readFileSync(lockPath(output), 'utf8'));
  writeFileSync(lockPath(output), JSON.stringify({ ...owner, started: 'another boot 123' }));
  await (await OutputLock.take(output)).release();
});

test('the lock of another machine, or of another program, is left alone', async (t) => {
  const output = tempFolder(t)('out.npy');
  writeFileSync(lockPath(output), JSON.stringify({ host: 'elsewhere', pid: 1, started: '' }));
  await assert.rejects(OutputLock.take(output), { code: 'TANDEM_OUTPUT_EXISTS', message: /process 1 on elsewhere$/ });
  for (const text of ['', 'not ours', '{"pid":-1}', 'null']) {
    writeFileSync(lockPath(output), text);
    await assert.rejects(OutputLock.take(output), { code: 'TANDEM_OUTPUT_EXISTS', message: /by another program$/ });
    assert.equal(readFileSync(lockPath(output), 'utf8'), text);
  }
});

test('of many that find a dead owner, one gets the lock', async (t) => {
  const at = tempFolder(t);
  const output = at('out.npy');
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  for (let round = 0; round < 10; round++) {
    writeFileSync(lockPath(output), JSON.stringify({ host: hostname(), pid: dead, started: '' }));
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => OutputLock.take(output)));
    const won = results.filter((result) => result.status === 'fulfilled');
    assert.equal(won.length, 1);
    for (const { value } of won) await value.release();
    assert.deepEqual(readdirSync(at('')), []);
  }
});
