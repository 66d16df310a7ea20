/** Isolation: threads or processes, and pools that one process cannot hold are refused before anything is started. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePools, type Isolation, openPools, resolveIsolation } from '../../src/pool/isolation.js';
import type { PoolOptions } from '../../src/pool/pool.js';

test('a library of a process gets one thread count, and another one is refused', async () => {
  const stage = (threads: number): PoolOptions => ({
    ...{ device: 'cpu', engine: 'tfjs' as const, workers: 1, deadlineMs: 1000 },
    engineOptions: { provider: 'tensorflow', threads },
  });
  await assert.rejects(openPools('thread', [stage(3), stage(2)]), {
    code: 'TANDEM_USAGE',
    message: /^tfjs already runs with 3 threads/,
  });
  assert.equal(process.env.TF_NUM_INTRAOP_THREADS, '3');
});

test('auto takes processes for some engines and for budgets, and threads if processes cannot share memory; an explicit choice stays', () => {
  const [onnx, tfjs] = [{ engine: 'onnxruntime' }, { engine: 'tfjs' }] as const;
  const isolationOf = (
    asked: 'auto' | Isolation,
    engine: typeof onnx | typeof tfjs,
    budget: boolean,
    shares: boolean,
  ) => resolveIsolation(asked, [onnx, engine], { budget, canShare: () => shares });
  assert.equal(isolationOf('auto', onnx, false, true), 'thread');
  assert.equal(isolationOf('auto', tfjs, false, true), 'process');
  assert.equal(isolationOf('auto', onnx, true, true), 'process');
  assert.equal(isolationOf('auto', tfjs, false, false), 'thread');
  assert.equal(isolationOf('auto', onnx, true, false), 'thread');
  assert.equal(isolationOf('process', tfjs, false, false), 'process');
  assert.equal(isolationOf('thread', tfjs, true, true), 'thread');
  if (process.platform === 'linux') assert.equal(resolveIsolation('auto', [tfjs]), 'process');
});

const card = (index: number, workers: number): PoolOptions => ({
  device: `gpu:${index}`,
  engine: 'onnxruntime',
  engineOptions: { provider: 'webgpu', threads: 1, deviceIndex: index },
  workers,
  deadlineMs: 60_000,
});

const REFUSED: [string, Isolation, PoolOptions[], RegExp][] = [
  ['two workers of a stage, as threads', 'thread', [card(0, 2)], /workers=1/],
  ['two workers of a stage, in a process', 'process', [card(0, 2)], /workers=1/],
  ['two stages, as threads', 'thread', [card(0, 1), card(1, 1)], /--isolation process/],
];

for (const [name, isolation, pools, remedy] of REFUSED) {
  test(`onnxruntime on WebGPU once in a process: ${name}`, async () => {
    await assert.rejects(openPools(isolation, pools), { code: 'TANDEM_USAGE', remedy });
  });
}

test('onnxruntime on WebGPU in two processes is not refused', async () => {
  await closePools(await openPools('process', [card(0, 1), card(1, 1)]));
});
