/** The queue is rebuilt from the store: whatever Redis has lost, each open shard is in it once, and no other. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { NO_REDIS } from '../../scripts/redis-server.js';
import { enqueue } from '../../src/cluster/enqueue.js';
import { JobQueue } from '../../src/cluster/job-queue.js';
import { queueAddress } from '../../src/cluster/queue-address.js';
import { reconcile } from '../../src/cluster/reconcile.js';
import { chooseSlow } from '../../src/cluster/slow-shards.js';
import { redisFor } from '../fixtures/redis-server.js';
import { commitShard, storedJob } from '../fixtures/shard-job.js';
import { tempFolder } from '../fixtures/temp-folder.js';

async function submitted(t: TestContext, shards: number) {
  const server = await redisFor(t);
  const address = queueAddress(server.url, {});
  const job = await storedJob({ folder: tempFolder(t)('job'), shards });
  const enqueued = await enqueue(job.manifest, job.where, address);
  const queue = await JobQueue.open(address, job.manifest.id);
  t.after(() => queue.close());
  return { server, address, ...job, enqueued, queue };
}

test('what Redis has lost is added again, what is committed is not', { skip: NO_REDIS }, async (t) => {
  const { server, manifest, store, queue, enqueued } = await submitted(t, 12);
  assert.deepEqual([enqueued.added, enqueued.done], [12, 0]);
  assert.equal((await reconcile(manifest, store, queue)).added, 0, 'nothing is lost, nothing is added');
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(11), { maxLength: 3 }), fc.boolean(), async (lost, all) => {
      await commitShard(manifest, store, lost[0] ?? 0);
      if (all) server.cli('flushall');
      else for (const shard of lost) await queue.remove(`s${shard}`);
      const { committed } = await reconcile(manifest, store, queue);
      const waiting = await queue.idsIn('waiting');
      for (const { index } of manifest.shards) {
        // One that was committed while it waited is found done by the machine that takes it.
        if (!committed.has(index)) assert.ok(waiting.has(`s${index}`), `shard ${index}`);
        else if (all) assert.ok(!waiting.has(`s${index}`), `shard ${index} is done`);
      }
      assert.equal(waiting.size, (await queue.counts()).waiting, 'each once');
    }),
    { numRuns: 20 },
  );
});

test('the same job submitted again adds nothing, and what a Redis that died has lost', {
  skip: NO_REDIS,
}, async (t) => {
  const { server, address, manifest, store, where } = await submitted(t, 5);
  assert.equal((await enqueue(manifest, where, address)).added, 0);
  await commitShard(manifest, store, 3);
  server.cli('flushall');
  const again = await enqueue(manifest, where, address);
  assert.deepEqual([again.added, again.done], [4, 1]);
});

test('slow shards: by rate, the slowest first, not those that have just begun nor those that run twice', () => {
  const at = (shard: number, rowsPerSecond: number, seconds: number) => ({
    shard,
    rowsPerSecond,
    shardSince: 1e6 - seconds * 1000,
  });
  const running = [at(1, 50, 60), at(2, 99, 60), at(3, 10, 60), at(4, 1, 2), at(5, 1, 60), at(5, 100, 30)];
  assert.deepEqual(chooseSlow(running, 100, 1e6), [3, 1]);
  assert.deepEqual(chooseSlow(running, 0, 1e6), []);
});
