/** One writer per output: whoever comes second is told who is first. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { lockOutput, lockPath } from '../../src/job/output-lock.js';
import { tempFolder } from './temp-folder.js';

const LOCK_URL = new URL('../../src/job/output-lock.js', import.meta.url).href;
const TAKE = `
  const { lockOutput } = await import(${JSON.stringify(LOCK_URL)});
  await lockOutput(process.argv[1]);
  process.stdout.write('taken');
`;

test('taken once, free again after release', async (t) => {
  const output = tempFolder(t)('out.npy');
  const lock = await lockOutput(output);
  await assert.rejects(lockOutput(output), { code: 'TANDEM_OUTPUT_EXISTS', remedy: /out\.npy\.lock$/ });
  await lock.release();
  await lock.release();
  assert(!existsSync(lockPath(output)));
  await (await lockOutput(output)).release();
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
  await assert.rejects(lockOutput(output), {
    code: 'TANDEM_OUTPUT_EXISTS',
    message: `the output ${output} is being written by process ${holder.pid}`,
  });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await (await lockOutput(output)).release();
});

test('the lock of another machine, or of another program, is named', async (t) => {
  const output = tempFolder(t)('out.npy');
  writeFileSync(lockPath(output), JSON.stringify({ host: 'elsewhere', pid: 1, started: '' }));
  await assert.rejects(lockOutput(output), { code: 'TANDEM_OUTPUT_EXISTS', message: /process 1 on elsewhere$/ });
  writeFileSync(lockPath(output), 'not ours');
  await assert.rejects(lockOutput(output), { code: 'TANDEM_OUTPUT_EXISTS', message: /by another program$/ });
});
