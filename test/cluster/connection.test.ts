/** Connections to a real redis-server: what is wrong is told by a coded error, and no password is shown. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { freePort, NO_REDIS } from '../../scripts/redis-server.js';
import { openConnection, openWorkerConnection } from '../../src/cluster/connection.js';
import { queueAddress } from '../../src/cluster/queue-address.js';
import { LEAST_RIGHTS } from '../../src/cluster/queue-error.js';
import { redisFor } from '../fixtures/redis-server.js';
import { tempFolder } from '../fixtures/temp-folder.js';

const PASSWORD = 'correct-horse';

async function refusal(url: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const error = await openConnection(queueAddress(url, env)).then(
    (client) => {
      client.disconnect();
      return assert.fail('it must not open');
    },
    (found) => found,
  );
  assert.equal(error.name, 'TandemError', String(error));
  assert.notEqual(error.remedy, '');
  for (const text of [error.message, error.remedy])
    assert.ok(!text.includes(PASSWORD) && !text.includes('wrong-one'), text);
  return `${error.code}: ${error.message}`;
}

test('addresses: secrets come from the environment and from files, and none is shown', (t) => {
  const file = tempFolder(t)('password');
  writeFileSync(file, `${PASSWORD}\n`);
  const given = { TANDEM_QUEUE_USER: 'me', TANDEM_QUEUE_PASSWORD_FILE: file };
  const address = queueAddress('rediss://queue.example/3', given);
  const expected = { shown: 'rediss://queue.example:6379/3', host: 'queue.example', port: 6379, db: 3 };
  assert.deepEqual(address, { ...expected, username: 'me', password: PASSWORD, tls: {} });
  assert.equal(queueAddress(undefined, { TANDEM_QUEUE: `redis://me:${PASSWORD}@[::1]:7000` }).host, '::1');
  assert.equal(queueAddress(undefined, { TANDEM_QUEUE: `redis://me:${PASSWORD}@[::1]:7000` }).password, PASSWORD);
  const wrong = [`redis://me:${PASSWORD}@host`, 'host:6379', 'http://host', `redis://host/${PASSWORD}`, ''];
  for (const text of wrong) {
    assert.throws(
      () => queueAddress(text, {}),
      ({ code, message, remedy }) => code === 'TANDEM_USAGE' && !`${message}${remedy}`.includes(PASSWORD),
      text,
    );
  }
  assert.throws(() => queueAddress('redis://host', { TANDEM_QUEUE_PASSWORD_FILE: '/no/such/file' }), /PASSWORD_FILE/);
});

test('nothing listens there, or there is no such host', async () => {
  const port = await freePort();
  assert.match(await refusal(`redis://127.0.0.1:${port}`), /^TANDEM_QUEUE_UNREACHABLE: .*127\.0\.0\.1:\d+ .*refused/);
  assert.match(await refusal('redis://no-such-host.invalid'), /^TANDEM_QUEUE_UNREACHABLE: .*no such host/);
});

test('what listens there is another server', async (t) => {
  const web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
  t.after(() => web.close());
  await new Promise((resolve) => web.once('listening', resolve));
  const { port } = web.address() as { port: number };
  assert.match(await refusal(`redis://127.0.0.1:${port}`), /^TANDEM_QUEUE_UNREACHABLE/);
});

test('a frozen server', { skip: NO_REDIS }, async (t) => {
  const server = await redisFor(t);
  server.freeze();
  assert.match(await refusal(server.url), /^TANDEM_QUEUE_UNREACHABLE: .* does not answer/);
  server.thaw();
});

test('a command on a server that freezes later ends too', { skip: NO_REDIS }, async (t) => {
  const server = await redisFor(t);
  const client = await openConnection(queueAddress(server.url, {}));
  t.after(() => client.disconnect());
  server.freeze();
  await assert.rejects(client.get('x'), /timed out/i);
  server.thaw();
});

test('passwords, users and their rights', { skip: NO_REDIS }, async (t) => {
  const server = await redisFor(t, {
    config: [
      `user default on >${PASSWORD} ~* &* +@all`,
      `user least on >${PASSWORD} ${LEAST_RIGHTS}`,
      'user none on nopass resetkeys -@all',
    ],
  });
  assert.match(await refusal(server.url), /^TANDEM_QUEUE_DENIED: .*wants a password/);
  assert.match(await refusal(server.url, { TANDEM_QUEUE_PASSWORD: 'wrong-one' }), /^TANDEM_QUEUE_DENIED: .*refuses/);
  const none = { TANDEM_QUEUE_USER: 'none', TANDEM_QUEUE_PASSWORD: 'any' };
  assert.match(await refusal(server.url, none), /^TANDEM_QUEUE_DENIED: .*too few rights/);
  for (const user of [{}, { TANDEM_QUEUE_USER: 'least' }]) {
    const client = await openWorkerConnection(queueAddress(server.url, { ...user, TANDEM_QUEUE_PASSWORD: PASSWORD }));
    assert.equal(await client.set('tandem:x', '1'), 'OK');
    client.disconnect();
  }
});

test('TLS: the authority must be known, and TLS must be spoken on both sides', { skip: NO_REDIS }, async (t) => {
  const server = await redisFor(t, { tls: true });
  assert.match(await refusal(server.url), /^TANDEM_QUEUE_DENIED: .*certificate/);
  assert.match(await refusal(server.url.replace('rediss', 'redis')), /^TANDEM_QUEUE_UNREACHABLE/);
  const client = await openConnection(queueAddress(server.url, { TANDEM_QUEUE_CA: server.caFile }));
  assert.equal(await client.ping(), 'PONG');
  client.disconnect();
  const plain = await redisFor(t);
  assert.match(await refusal(plain.url.replace('redis:', 'rediss:')), /^TANDEM_QUEUE_(DENIED|UNREACHABLE)/);
});
