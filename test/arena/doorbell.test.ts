/** The doorbell: other processes are heard, however often they ring, and nobody is kept alive by it. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Doorbell, ring } from '../../src/arena/doorbell.js';

const module = new URL('../../src/arena/doorbell.js', import.meta.url).href;

/** A process that rings so often, having found the outside open as file 3. */
function ringer(doorbell: Doorbell, times: number) {
  const source = `import(${JSON.stringify(module)}).then(({ ring }) => { for (let n = 0; n < ${times}; n++) ring(3); });`;
  return spawn(process.execPath, ['-e', source], { stdio: ['ignore', 2, 2, doorbell.outside] });
}

test('who waits for a ring is told of one from another process, and of the next one again', async () => {
  const doorbell = new Doorbell();
  for (let n = 0; n < 2; n++) {
    const [[status]] = await Promise.all([once(ringer(doorbell, 1), 'exit'), doorbell.rung()]);
    assert.equal(status, 0);
  }
  doorbell.close();
});

test('rings that nobody hears are no burden to who rings', async () => {
  const doorbell = new Doorbell();
  // Not read meanwhile: this thread does not come to its event loop.
  const rung = doorbell.rung();
  for (let n = 0; n < 5000; n++) ring(doorbell.outside);
  const awake = setInterval(() => {}, 1000);
  await rung;
  clearInterval(awake);
  doorbell.close();
});

test('a doorbell keeps no process alive, listened to or not', () => {
  const source = `import(${JSON.stringify(module)}).then(({ Doorbell }) => { new Doorbell(); void new Doorbell().rung(); });`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', source], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
});

test('once it is closed nothing is left open', async () => {
  const doorbell = new Doorbell();
  doorbell.close();
  assert.throws(() => ring(doorbell.outside), { code: 'EBADF' });
});
