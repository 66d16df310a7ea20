/** Deadlines: any worker or process that hangs ends with a coded error or is replaced. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ProcessLink } from '../../src/arena/process-link.js';
import { TandemError } from '../../src/errors.js';
import { slicesOf } from '../../src/model/slice.js';
import { setDeadline } from '../../src/pool/deadline.js';
import type { PoolOptions } from '../../src/pool/pool.js';
import { ProcessPool } from '../../src/pool/process-pool.js';
import { ThreadPool } from '../../src/pool/thread-pool.js';
import { CountingFeed, chainGraph, firstsOf, openChain } from '../fixtures/chain.js';
import { hostsOf, noProc } from '../fixtures/children.js';

const flag = () => join(mkdtempSync(join(tmpdir(), 'tandem-')), 'happened');
const expected = (rows: number, stages: number) => Array.from({ length: rows }, (_, row) => row + stages);
const timesOut = (promise: Promise<unknown>, message: RegExp) =>
  assert.rejects(
    promise,
    (error) => error instanceof TandemError && error.code === 'TANDEM_STAGE_TIMEOUT' && message.test(error.message),
  );

test('a deadline that moves fires when no time is left, and not after it was cancelled', async () => {
  // A deadline alone does not keep the process alive.
  const awake = setInterval(() => {}, 1000);
  let left = 40;
  const looks: number[] = [];
  await new Promise<void>((resolve) => {
    setDeadline(() => {
      looks.push(left);
      left -= 20;
      return looks.at(-1)!;
    }, resolve);
  });
  assert.deepEqual(looks, [40, 20, 0]);
  const cancel = setDeadline(
    () => 1,
    () => assert.fail('it was cancelled'),
  );
  cancel();
  // A timer with an infinite delay would fire at once.
  setDeadline(
    () => Number.POSITIVE_INFINITY,
    () => assert.fail('it fired at once'),
  )();
  await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(awake);
});

test('a worker that hangs once is replaced, and the rows are the same', async () => {
  for (const isolation of ['thread', 'process'] as const) {
    const pipeline = await openChain({
      providers: [`hang@${flag()}`, 'ok'],
      workers: [2, 1],
      deadlineMs: 250,
      isolation,
    });
    try {
      assert.deepEqual(await firstsOf(pipeline, new CountingFeed(60)), expected(60, 2));
    } finally {
      await pipeline.close();
    }
  }
});

test('a stage that waits long for the one before it is not hung', async () => {
  // The first stage takes the whole deadline once, and the second waits as long for its slots.
  const pipeline = await openChain({
    providers: [`hang@${flag()}`, 'ok', 'ok', 'ok'],
    deadlineMs: 300,
    microBatch: 1,
    depth: 8,
  });
  try {
    assert.deepEqual(await firstsOf(pipeline, new CountingFeed(30)), expected(30, 4));
  } finally {
    await pipeline.close();
  }
});

test('a process whose worker hangs in native code is replaced', { skip: noProc }, async () => {
  const pipeline = await openChain({
    providers: ['ok', `hang-native@${flag()}`],
    deadlineMs: 250,
    isolation: 'process',
  });
  try {
    assert.deepEqual(await firstsOf(pipeline, new CountingFeed(40)), expected(40, 2));
  } finally {
    await pipeline.close();
  }
});

test('a process that is stopped as a whole is replaced', { skip: noProc }, async () => {
  const pipeline = await openChain({ providers: ['ok', 'ok'], deadlineMs: 250, isolation: 'process' });
  try {
    const firsts: number[] = [];
    for await (const { rows, outputs, index } of pipeline.run(new CountingFeed(40))) {
      for (let row = 0; row < rows; row++) firsts.push(Number(outputs.get('y')!.data[row * 4]));
      if (index === 2) process.kill(hostsOf(process.pid)[0]!, 'SIGSTOP');
    }
    assert.deepEqual(firsts, expected(40, 2));
  } finally {
    await pipeline.close();
  }
});

for (const isolation of ['thread', 'process'] as const) {
  test(`${isolation}: a stage that hangs while it loads ends at the load deadline`, async () => {
    const options: PoolOptions = {
      device: 'cpu',
      engine: 'custom',
      engineOptions: { provider: 'load-hangs', threads: 1 },
      workers: 1,
      deadlineMs: 60_000,
      prepareDeadlineMs: 300,
    };
    const processLink = isolation === 'thread' ? null : new ProcessLink();
    const pool = processLink ? new ProcessPool(options, processLink) : new ThreadPool(options);
    await timesOut(pool.load(slicesOf(chainGraph(1), [])), /did not finish "load" in 0.3 s/);
    await timesOut(pool.load(slicesOf(chainGraph(1), [])), /did not finish "load"/);
    await pool.close();
    processLink?.close();
  });
}

test('a process that never boots ends at the boot deadline', async () => {
  const { NODE_OPTIONS } = process.env;
  process.env.NODE_OPTIONS = `--import=${new URL('../../../test/fixtures/never-boots.mjs', import.meta.url).href}`;
  const processLink = new ProcessLink();
  const pool = new ProcessPool(
    {
      ...{ device: 'cpu', engine: 'custom', engineOptions: { provider: 'ok', threads: 1 }, workers: 1 },
      ...{ deadlineMs: 60_000, bootDeadlineMs: 300 },
    },
    processLink,
  );
  try {
    await timesOut(pool.load(slicesOf(chainGraph(1), [])), /did not boot in 0.3 s/);
  } finally {
    if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = NODE_OPTIONS;
    await pool.close();
    processLink.close();
  }
});

test('a thread that hangs in native code stops the run, and the remedy is --isolation process', {
  skip: noProc,
}, async () => {
  // In a process of its own, which such a thread keeps from exiting.
  const source = `
    import { CountingFeed, firstsOf, openChain } from '${new URL('../fixtures/chain.js', import.meta.url).href}';
    import { hasStuckThreads } from '${new URL('../../src/pool/stuck-threads.js', import.meta.url).href}';
    const pipeline = await openChain({ providers: ['ok', 'hang-native'], deadlineMs: 250 });
    const error = await firstsOf(pipeline, new CountingFeed(40)).catch((error) => error);
    await pipeline.close();
    process.stdout.write(JSON.stringify({ code: error.code, remedy: error.remedy, stuck: hasStuckThreads() }));
    process.kill(process.pid, 'SIGKILL');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [printed] = await once(child.stdout, 'data');
  const { code, remedy, stuck } = JSON.parse(String(printed));
  assert.deepEqual({ code, stuck }, { code: 'TANDEM_STAGE_TIMEOUT', stuck: true });
  assert.match(remedy, /--isolation process/);
});
