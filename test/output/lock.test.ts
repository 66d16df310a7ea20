/** One writer per output: the second writer gets the name of the first. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { lockPath, OutputLock } from '../../src/output/lock.js';
import { openSink } from '../../src/output/open-sink.js';
import { partialPath } from '../../src/output/partial-file.js';
import { batch, sharedTensor } from '../fixtures/rows-done.js';
import { tempFolder } from '../fixtures/temp-folder.js';

const LOCK_URL = new URL('../../src/output/lock.js', import.meta.url).href;
const TAKE = `
  const { OutputLock } = await import(${JSON.stringify(LOCK_URL)});
  await OutputLock.take(process.argv[1]);
  process.stdout.write('taken');
`;

test('taken once, free again after release', async (t) => {
  const output = tempFolder(t)('out.npy');
  const lock = await OutputLock.take(output);
  await assert.rejects(OutputLock.take(output), {
    code: 'TANDEM_OUTPUT_EXISTS',
    remedy: /^wait until it has ended, or name another output; its lock ends with it$/,
  });
  await lock.release();
  await lock.release();
  assert(!existsSync(lockPath(output)));
  await (await OutputLock.take(output)).release();
});

test('a live process holds it, and a killed one does not', async (t) => {
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
    message: new RegExp(
      `is being written by process ${holder.pid} on ${hostname()}, which renewed its lock \\d+ s ago$`,
    ),
  });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  await (await OutputLock.take(output)).release();
});

test('the file of another program is named, and what to do about it', async (t) => {
  const output = tempFolder(t)('out.npy');
  writeFileSync(lockPath(output), 'not ours');
  await assert.rejects(OutputLock.take(output), {
    code: 'TANDEM_OUTPUT_EXISTS',
    message: /by another program$/,
    remedy: /out\.npy\.lock, remove it/,
  });
});

test('an owner that seems to be stopped is reported as stopped', async (t) => {
  const output = tempFolder(t)('out.npy');
  const lock = await OutputLock.take(output);
  utimesSync(lockPath(output), 1, 1);
  await assert.rejects(OutputLock.take(output), { code: 'TANDEM_OUTPUT_EXISTS', remedy: /seems to be stopped/ });
  await lock.release();
});

test('a writer that lost the lock writes no more, and renames and removes no files', async (t) => {
  const at = tempFolder(t);
  for (const rows of [0, 2]) {
    const output = at(`out-${rows}.jsonl`);
    const sink = await openSink(output);
    const two = () => batch(0, { y: sharedTensor('float32', [2], [0.1, 0.2]) });
    if (rows > 0) await sink.write(two());
    const before = readFileSync(partialPath(output));
    rmSync(lockPath(output));
    const next = await OutputLock.take(output);
    await assert.rejects(sink.finish(), { code: 'TANDEM_OUTPUT_TAKEN', message: /was suspended/ });
    await assert.rejects(sink.write(two()), { code: 'TANDEM_OUTPUT_TAKEN' });
    await sink.abandon();
    assert(!existsSync(output));
    assert.deepEqual(readFileSync(partialPath(output)), before);
    await next.confirm();
    await next.release();
  }
});
