/** Stages in separate processes: they may be killed at any time, leave nothing behind, and end with their parent. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { ProcessLink } from '../../src/arena/process-link.js';
import { keyOf, slicesOf } from '../../src/model/slice.js';
import type { Feed } from '../../src/pipeline/micro-batch.js';
import { ProcessPool } from '../../src/pool/process-pool.js';
import { CountingFeed, chainGraph, firstsOf, openChain } from '../fixtures/chain.js';
import { hostsOf, noProc } from '../fixtures/children.js';

const leftInSharedMemory = () =>
  existsSync('/dev/shm') ? readdirSync('/dev/shm').filter((name) => name.startsWith('tandem-')) : [];

test('processes that are killed during a job are replaced, and the rows are the same', { skip: noProc }, async () => {
  const pipeline = await openChain({ providers: ['ok', 'ok'], isolation: 'process', microBatch: 2 });
  try {
    const rows = 60;
    const firsts: number[] = [];
    let kills = 0;
    for await (const { rows: count, outputs, index } of pipeline.run(new CountingFeed(rows))) {
      for (let row = 0; row < count; row++) firsts.push(Number(outputs.get('y')!.data[row * 4]));
      if (index % 8 === 3 && kills < 3) {
        const hosts = hostsOf(process.pid);
        process.kill(hosts[kills % hosts.length]!, 'SIGKILL');
        kills += 1;
      }
    }
    assert.equal(kills, 3);
    assert.deepEqual(
      firsts,
      Array.from({ length: rows }, (_, row) => row + 2),
    );
  } finally {
    await pipeline.close();
  }
  assert.deepEqual(hostsOf(process.pid), []);
  assert.deepEqual(leftInSharedMemory(), []);
});

test('a process that dies while it has nothing to do is replaced, and so is one that is stopped', {
  skip: noProc,
}, async () => {
  const expected = (rows: number) => Array.from({ length: rows }, (_, row) => row + 2);
  // Short, because the test waits for the stopped one.
  const pipeline = await openChain({ providers: ['ok', 'ok'], isolation: 'process', deadlineMs: 1000 });
  try {
    assert.deepEqual(await firstsOf(pipeline, new CountingFeed(9)), expected(9));
    for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
      for (const host of hostsOf(process.pid)) process.kill(host, signal);
      assert.deepEqual(await firstsOf(pipeline, new CountingFeed(30)), expected(30), signal);
    }
  } finally {
    await pipeline.close();
  }
  assert.deepEqual(hostsOf(process.pid), []);
});

test('slots can be laid out again for other rows, and a process that dies after that is restarted with the new slots', {
  skip: noProc,
}, async () => {
  const pipeline = await openChain({ providers: ['ok', 'ok'], isolation: 'process', microBatch: 2 });
  try {
    for (const width of [64, 4, 1024, 8]) {
      await pipeline.warmUp([{ name: 'x', dtype: 'float32', shape: [width] }]);
      let left = 20;
      const feed: Feed = {
        async fill([tensor]) {
          (tensor!.data as Float32Array).fill(left);
          return left-- > 0 ? 2 : 0;
        },
      };
      for await (const { index, outputs } of pipeline.run(feed)) {
        const { shape, data } = outputs.get('y')!;
        assert.deepEqual(shape, [2, width]);
        assert.ok(data.every((value) => value === 22 - index));
        if (index === 7) process.kill(hostsOf(process.pid)[1]!, 'SIGKILL');
      }
    }
  } finally {
    await pipeline.close();
  }
});

test('earlier calls are replayed on the replacement of a process that dies between two calls', {
  skip: noProc,
}, async () => {
  const processLink = new ProcessLink();
  const pool = new ProcessPool(
    { device: 'cpu', engine: 'custom', engineOptions: { provider: 'ok', threads: 1 }, workers: 1, deadlineMs: 60_000 },
    processLink,
  );
  try {
    const slice = slicesOf(chainGraph(1), [])[0]!;
    const input = { dtype: 'float32', shape: [1, 4], data: new Float32Array(4) } as const;
    await pool.load([slice]);
    process.kill(hostsOf(process.pid)[0]!, 'SIGKILL');
    while (hostsOf(process.pid).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual((await pool.probe(keyOf(slice), [input])).outputs[0]!.data, new Float32Array(4).fill(1));
    process.kill(hostsOf(process.pid)[0]!, 'SIGKILL');
    while (hostsOf(process.pid).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(await pool.infer(slice, [{ name: 'x', ...input }]), null);
    process.kill(hostsOf(process.pid)[0]!, 'SIGKILL');
    // During a call.
    assert.deepEqual((await pool.time({ inputs: [input], runs: 2, millis: 1 })).length > 1, true);
    await pool.load([slice]);
    assert.deepEqual((await pool.probe(keyOf(slice), [input])).outputs[0]!.data, new Float32Array(4).fill(1));
  } finally {
    await pool.close();
    processLink.close();
  }
});

test('each stage reports its own peak memory', async () => {
  const pipeline = await openChain({ providers: ['ok', 'ok'], isolation: 'process' });
  try {
    for (const bytes of await pipeline.peakRss()) assert.ok(bytes !== null && bytes > 10e6 && bytes < 1e9, `${bytes}`);
  } finally {
    await pipeline.close();
  }
});

test('when the parent is killed, its stages end and leave nothing in shared memory', { skip: noProc }, async () => {
  const source = `
    import { CountingFeed, openChain } from '${new URL('../fixtures/chain.js', import.meta.url).href}';
    const pipeline = await openChain({ providers: ['ok', 'ok'], isolation: 'process' });
    process.stdout.write('ready');
    for await (const batch of pipeline.run(new CountingFeed(1e9))) ;`;
  const parent: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(parent.stdout!, 'data');
  const hosts = hostsOf(parent.pid!);
  assert.equal(hosts.length, 2);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  // `tail --pid` ends when the process does; a stage that stays makes this time out.
  for (const host of hosts) execFileSync('tail', ['-f', `--pid=${host}`, '/dev/null'], { timeout: 30_000 });
  assert.deepEqual(leftInSharedMemory(), []);
});
