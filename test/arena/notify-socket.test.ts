/** The notify socket: notifications of other processes arrive, however many there are, and it keeps no process alive. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { NotifySocket, notify } from '../../src/arena/notify-socket.js';

const module = new URL('../../src/arena/notify-socket.js', import.meta.url).href;

/** A process that notifies so many times; the outer descriptor is its file 3. */
function notifier(notifySocket: NotifySocket, times: number) {
  const source = `import(${JSON.stringify(module)}).then(({ notify }) => { for (let n = 0; n < ${times}; n++) notify(3); });`;
  return spawn(process.execPath, ['-e', source], { stdio: ['ignore', 2, 2, notifySocket.outside] });
}

test('a wait ends at a notification by another process, and so does the next wait', async () => {
  const notifySocket = new NotifySocket();
  for (let n = 0; n < 2; n++) {
    const [[status]] = await Promise.all([once(notifier(notifySocket, 1), 'exit'), notifySocket.notified()]);
    assert.equal(status, 0);
  }
  notifySocket.close();
});

test('notifications that are not read do not block the notifier', async () => {
  const notifySocket = new NotifySocket();
  // Nothing is read meanwhile: this thread does not return to its event loop.
  const notified = notifySocket.notified();
  for (let n = 0; n < 5000; n++) notify(notifySocket.outside);
  const awake = setInterval(() => {}, 1000);
  await notified;
  clearInterval(awake);
  notifySocket.close();
});

test('a notify socket keeps no process alive, listened to or not', () => {
  const source = `import(${JSON.stringify(module)}).then(({ NotifySocket }) => { new NotifySocket(); void new NotifySocket().notified(); });`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', source], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0, stderr);
});

test('close closes both ends', async () => {
  const notifySocket = new NotifySocket();
  notifySocket.close();
  assert.throws(() => notify(notifySocket.outside), { code: 'EBADF' });
});
