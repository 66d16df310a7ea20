/** What a shard can become, and each way from one state to the next: killed, resumed, raced by an equal and by an unequal attempt, merged early, twice, and with damage. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { makeRows } from '../../scripts/make-rows.js';
import { commitBytes, commitKey, partKey } from '../../src/cluster/commit-record.js';
import { joinJob } from '../../src/cluster/join-job.js';
import { makeManifest } from '../../src/cluster/make-manifest.js';
import { type Manifest, sealManifest } from '../../src/cluster/manifest.js';
import { mergeShards, missingShards } from '../../src/cluster/merge.js';
import { openStore } from '../../src/cluster/open-store.js';
import { commitOf, runShard } from '../../src/cluster/run-shard.js';
import type { Store } from '../../src/cluster/store.js';
import { performFile } from '../../src/job/run-file.js';
import type { RunRequest } from '../../src/job/run-request.js';

const home = mkdtempSync(join(tmpdir(), 'tandem-shard-states-'));
const at = (name: string) => join(home, name);
let request: RunRequest;
let manifest: Manifest;
let store: Store;
let count = 0;

before(async () => {
  makeOnnx('mlp', at('mlp'), { layers: 2, hidden: 8 });
  makeRows(at('rows.jsonl'), 40, [8]);
  const stages = [{ device: 'cpu', threads: 1 }];
  request = {
    ...{ model: at('mlp'), input: [at('rows.jsonl')], output: at('out.jsonl'), deadline: 600 },
    ...{ stages, isolation: 'thread' as const, plan: 'quick', microBatch: 4 },
  };
  manifest = await makeManifest(request, { shards: 2 });
  await performFile({ ...request, output: at('whole.jsonl') }, {}, 'run');
});
beforeEach(async () => {
  count += 1;
  rmSync(at('out.jsonl'), { force: true });
  store = await openStore(at(`store-${count}`));
});
after(() => rmSync(home, { recursive: true }));

const run = (index: number, attempt: string, on: Store = store, signal?: AbortSignal) =>
  runShard(manifest, index, { attempt, store: on, folder: at('unfinished'), signal });

/** A store whose commits wait until `open` is called. */
function gated(inner: Store): { store: Store; reached: Promise<void>; open: () => void } {
  let open = () => {};
  let reach = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  const waiting: Partial<Store> = {
    async putIfAbsent(key, bytes) {
      reach();
      await opened;
      return inner.putIfAbsent(key, bytes);
    },
  };
  const store = new Proxy(inner, {
    get(target, name) {
      const own = waiting[name as keyof Store] ?? target[name as keyof Store];
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });
  return { store, reached, open: () => open() };
}

test('planned to committed to merged: the commit says what the shard gave, and nothing local is left', async () => {
  const commit = await run(0, 'a');
  assert.equal(commit.rows, 20);
  assert.equal(commit.output, partKey(0, 'a'));
  assert.deepEqual(readdirSync(at('unfinished')), []);
  assert.deepEqual(await missingShards(manifest, store), [1]);
  await run(1, 'a');
  const summary = await mergeShards(manifest, store);
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), readFileSync(at('whole.jsonl'), 'utf8'));
  assert.equal(summary.rows, 40);
});

test('a shard that is committed is not run again', async () => {
  const first = await run(0, 'a');
  const again = await runShard({ ...manifest, request: { ...request, model: at('gone') } }, 0, { attempt: 'b', store });
  assert.deepEqual(again, first);
});

test('two attempts that end at once and are equal: one commit stands, and the other is quiet and leaves nothing', async () => {
  const gate = gated(store);
  const slow = run(0, 'slow', gate.store);
  await gate.reached;
  const fast = await run(0, 'fast');
  gate.open();
  assert.deepEqual(await slow, fast);
  assert.equal((await commitOf(store, 0))!.attempt, 'fast');
  assert.deepEqual(await store.list('part/'), [partKey(0, 'fast')]);
});

test('two attempts that are unequal: the later one is an error that names both, and both results stay', async () => {
  const gate = gated(store);
  const slow = run(0, 'slow', gate.store);
  await gate.reached;
  const { attempt: _, ...record } = await run(0, 'fast');
  await store.remove(commitKey(0));
  const other = { ...record, attempt: 'fast', sha256: 'f'.repeat(64), host: 'another-host' };
  await store.putIfAbsent(commitKey(0), commitBytes(other));
  gate.open();
  await assert.rejects(slow, { code: 'TANDEM_SHARDS_UNEQUAL', message: /shard 0 .*another-host.*ffffffff/ });
  assert.deepEqual(await store.list('part/'), [partKey(0, 'fast'), partKey(0, 'slow')]);
});

test('an attempt whose winning answer was lost finds its own commit, and has won', async () => {
  const lossy = new Proxy(store, {
    get: (target, name) =>
      name === 'putIfAbsent'
        ? async (key: string, bytes: Uint8Array) => {
            await target.putIfAbsent(key, bytes);
            return false;
          }
        : (...args: never[]) => (target[name as keyof Store] as (...args: never[]) => unknown).apply(target, args),
  });
  const commit = await run(0, 'a', lossy);
  assert.equal(commit.attempt, 'a');
  assert.deepEqual(await store.list('part/'), [partKey(0, 'a')], 'its results were not taken for those of a loser');
});

test('stopped and run again: the rows that were done are kept, and the bytes are the same', async () => {
  const whole = await run(1, 'whole');
  await store.remove(commitKey(1));
  const controller = new AbortController();
  const stopping = runShard(manifest, 1, {
    ...{ attempt: 'stopped', store, folder: at('unfinished'), signal: controller.signal },
    onProgress: () => controller.abort(new Error('drain')),
  });
  await assert.rejects(stopping, /drain/);
  assert.equal(await commitOf(store, 1), null);
  assert.ok(readdirSync(at('unfinished')).some((name) => name.endsWith('.journal')));
  const notices: string[] = [];
  const listener = { onNotice: (text: string) => notices.push(text) };
  const resumed = await runShard(manifest, 1, { attempt: 'b', store, folder: at('unfinished'), listener });
  assert.ok(
    notices.some((text) => /resuming after \d+ rows/.test(text)),
    notices.join('\n'),
  );
  assert.equal(resumed.sha256, whole.sha256);
});

test('staged and killed: the results of an attempt without a commit are swept by the merge', async () => {
  const left = at('left');
  writeFileSync(left, 'half');
  await store.putFile(partKey(0, 'killed'), left);
  for (const index of [0, 1]) await run(index, 'a');
  await mergeShards(manifest, store);
  assert.deepEqual(await store.list('part/'), []);
});

test('a merge before all shards are committed is refused by their numbers, and begins nothing', async () => {
  await run(1, 'a');
  await assert.rejects(mergeShards(manifest, store), {
    code: 'TANDEM_SHARDS_MISSING',
    message: /^shard 0 is not done/,
  });
  assert.ok(!readdirSync(home).includes('out.jsonl.partial'));
});

test('a second merge gives the summary of the first; an output of somebody else is not replaced', async () => {
  for (const index of [0, 1]) await run(index, 'a');
  writeFileSync(at('out.jsonl'), 'mine');
  await assert.rejects(mergeShards(manifest, store), { code: 'TANDEM_OUTPUT_EXISTS' });
  assert.equal(readFileSync(at('out.jsonl'), 'utf8'), 'mine');
  const first = await mergeShards(manifest, store, { force: true });
  assert.deepEqual(await mergeShards(manifest, store), first);
});

test('results that were changed or are gone are found before the output gets its name', async () => {
  for (const index of [0, 1]) await run(index, 'a');
  const path = store.pathOf(partKey(1, 'a'))!;
  const bytes = readFileSync(path);
  const changed = Buffer.from(bytes);
  changed[bytes.length - 9]! ^= 1;
  for (const wrong of [changed, bytes.subarray(0, -1), Buffer.alloc(bytes.length)]) {
    writeFileSync(path, wrong);
    await assert.rejects(mergeShards(manifest, store), { code: 'TANDEM_SHARDS_DAMAGED' });
  }
  rmSync(path);
  await assert.rejects(mergeShards(manifest, store), { code: 'TANDEM_SHARDS_DAMAGED', message: /is not there/ });
  assert.ok(!readdirSync(home).some((name) => name.startsWith('out.jsonl') && !name.endsWith('.shards')));
});

test('a machine with another model or another input takes no shard, and says what differs', async () => {
  const { id: _, schema: __, ...rest } = manifest;
  const other = sealManifest({ ...rest, fingerprint: { ...rest.fingerprint, model: 'another', tandem: '0.0.0' } });
  const options = { attempt: 'a', store, folder: at('unfinished') };
  await assert.rejects(runShard(other, 0, options), {
    code: 'TANDEM_SHARDS_FOREIGN',
    message: /another (?:model and tandem|tandem and model)/,
  });
});

test('tasks that begin at once have one manifest; one with another command is refused by what differs', async () => {
  const joined = await Promise.all([1, 2, 3].map(() => joinJob(store, request, 2)));
  assert.deepEqual([...new Set(joined.map(({ id }) => id))], [manifest.id]);
  await assert.rejects(joinJob(store, { ...request, keep: ['a'] }, 2), {
    code: 'TANDEM_JOURNAL_MISMATCH',
    message: /another keep /,
  });
  await assert.rejects(joinJob(store, request, 3), { code: 'TANDEM_JOURNAL_MISMATCH', message: /number of shards/ });
});

test('jobs whose shards could not give the bytes of one machine are refused by name', async () => {
  const refused = { code: 'TANDEM_SHARDS_UNSUPPORTED' };
  for (const [change, what] of [
    [{ output: '-' }, /stdout/],
    [{ input: ['-'] }, /stdin/],
    [{ carry: { state: 'stateN' } }, /carry state/],
    [{ maxErrors: { rows: 3 } }, /--max-errors/],
    [{ report: at('r.html') }, /--report/],
  ] as const) {
    const wrong = { ...request, ...change } as RunRequest;
    await assert.rejects(makeManifest(wrong, { shards: 2 }), { ...refused, message: what });
  }
  await assert.rejects(makeManifest(request, { shards: 0 }), { code: 'TANDEM_USAGE' });
});
