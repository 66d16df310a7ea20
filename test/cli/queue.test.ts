/** `tandem status --queue`, `tandem cancel` and what they refuse, as typed, on a real redis-server. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort, NO_REDIS } from '../../scripts/redis-server.js';
import { enqueue } from '../../src/cluster/enqueue.js';
import { queueAddress } from '../../src/cluster/queue-address.js';
import { redisFor } from '../fixtures/redis-server.js';
import { commitShard, storedJob } from '../fixtures/shard-job.js';
import { tempFolder } from '../fixtures/temp-folder.js';
import { assertFails, tandem } from './tandem-process.js';

test('a queue that is not there is an error in seconds, for each verb', async (t) => {
  const cwd = tempFolder(t)('');
  const url = `redis://127.0.0.1:${await freePort()}`;
  const verbs = [
    ['status', '--queue', url],
    ['status', 'out.jsonl', '--watch', '--queue', url],
    ['cancel', 'out.jsonl', '--queue', url],
    ['worker', '--queue', url],
  ];
  for (const args of verbs) {
    const ended = await tandem(args, { cwd });
    assertFails(ended, { status: 75, code: 'TANDEM_QUEUE_UNREACHABLE', says: /refused/ });
  }
  assertFails(await tandem(['cancel', 'x'], { cwd }), { status: 2, code: 'TANDEM_USAGE', says: /--queue/ });
  assertFails(await tandem(['status'], { cwd }), { status: 2, code: 'TANDEM_USAGE', says: /--queue/ });
  const password = await tandem(['cancel', 'x', '--queue', 'redis://me:hidden-word@host'], { cwd });
  assertFails(password, { status: 2, code: 'TANDEM_USAGE', says: /TANDEM_QUEUE_PASSWORD/ });
  assert.ok(!password.stderr.includes('hidden-word'));
});

test('a job is shown, cancelled, shown as cancelled, and nothing of it is left in Redis', {
  skip: NO_REDIS,
}, async (t) => {
  const path = tempFolder(t);
  const cwd = path('');
  const server = await redisFor(t);
  const { manifest, store, where } = await storedJob({ folder: path('job'), shards: 6 });
  await enqueue(manifest, where, queueAddress(server.url, {}));
  await commitShard(manifest, store, 0);
  const env = { TANDEM_QUEUE: server.url };
  const shown = await tandem(['status', '--queue'], { cwd, env });
  assert.equal(shown.status, 0, shown.stderr);
  assert.match(String(shown.stdout), /out\.jsonl: 1 of 6 shards done, 6 waiting; 8 of 48 rows/);
  assert.match(String(shown.stdout), /no workers/);
  const json = await tandem(['status', manifest.id.slice(0, 6), '--queue', server.url, '--json'], { cwd });
  assert.deepEqual(JSON.parse(String(json.stdout)).jobs[0].rowsDone, 8);
  const unknown = await tandem(['cancel', 'no-such-output', '--queue', server.url], { cwd });
  assertFails(unknown, { status: 2, code: 'TANDEM_JOB_UNKNOWN' });
  const cancelled = await tandem(['cancel', manifest.output.path], { cwd, env });
  assert.equal(cancelled.status, 0, cancelled.stderr);
  assert.ok(existsSync(join(where, 'cancelled.json')));
  assert.match(String((await tandem(['status', '--queue'], { cwd, env })).stdout), /out\.jsonl: cancelled/);
  assert.deepEqual(server.cli('keys', 'tandem:job-*'), '');
  const watched = await tandem(['status', manifest.output.path, '--watch', '--queue'], { cwd, env });
  assertFails(watched, { status: 75, code: 'TANDEM_JOB_CANCELLED' });
});

test('an entry that is not signed is not taken where there is a secret', { skip: NO_REDIS }, async (t) => {
  const path = tempFolder(t);
  const server = await redisFor(t);
  const forged = await storedJob({ folder: path('forged'), shards: 2 });
  await enqueue(forged.manifest, forged.where, queueAddress(server.url, {}));
  const env = { TANDEM_QUEUE: server.url, TANDEM_QUEUE_SECRET: 'shared' };
  const own = await storedJob({ folder: path('own'), shards: 3 });
  await enqueue(own.manifest, own.where, queueAddress(undefined, env));
  const { stdout } = await tandem(['status', '--queue'], { cwd: path(''), env });
  assert.match(String(stdout), /own\/out\.jsonl: 0 of 3 shards/);
  assert.match(String(stdout), /1 not signed with TANDEM_QUEUE_SECRET/);
  assert.doesNotMatch(String(stdout), /forged/);
});
