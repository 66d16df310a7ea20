/** Where workers live: what one process cannot hold is refused before anything is started. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePools, type Isolation, openPools } from '../../src/pool/isolation.js';
import type { PoolOptions } from '../../src/pool/pool.js';

test('threads of one process tell its libraries once how many threads to take, and refuse a second word', async () => {
  const stage = (threads: number): PoolOptions => ({
    ...{ device: 'cpu', engine: 'tfjs' as const, workers: 1, deadline: 1000 },
    engineOptions: { provider: 'tensorflow', threads },
  });
  await assert.rejects(openPools('thread', [stage(3), stage(2)]), {
    code: 'TANDEM_USAGE',
    message: /^tfjs already runs with 3 threads/,
  });
  assert.equal(process.env.TF_NUM_INTRAOP_THREADS, '3');
});

const card = (index: number, workers: number): PoolOptions => ({
  device: `gpu:${index}`,
  engine: 'onnxruntime',
  engineOptions: { provider: 'webgpu', threads: 1, deviceIndex: index },
  workers,
  deadline: 60_000,
});

const CROWDS: [string, Isolation, PoolOptions[], RegExp][] = [
  ['two workers of a stage, as threads', 'thread', [card(0, 2)], /workers=1/],
  ['two workers of a stage, in a process', 'process', [card(0, 2)], /workers=1/],
  ['two stages, as threads', 'thread', [card(0, 1), card(1, 1)], /--isolation process/],
];

for (const [name, isolation, pools, remedy] of CROWDS) {
  test(`onnxruntime on WebGPU once in a process: ${name}`, async () => {
    await assert.rejects(openPools(isolation, pools), { code: 'TANDEM_USAGE', remedy });
  });
}

test('onnxruntime on WebGPU in two processes is none of its business', async () => {
  await closePools(await openPools('process', [card(0, 1), card(1, 1)]));
});
