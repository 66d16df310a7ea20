/** Pre-started pools: taken once by a caller with the same options, closed if there is none, and their errors are thrown by `take`. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { openModel } from '../../src/model/open.js';
import { keyOf, slicesOf } from '../../src/model/slice.js';
import { closePools, type Isolation } from '../../src/pool/isolation.js';
import type { PoolOptions } from '../../src/pool/pool.js';
import { PreStarted } from '../../src/pool/pre-started.js';
import { chainGraph } from '../fixtures/chain.js';
import { hostsOf, noProc } from '../fixtures/children.js';

const stage = (workers = 1): PoolOptions => ({
  ...{ device: 'cpu', engine: 'custom', workers, deadlineMs: 60_000 },
  engineOptions: { provider: 'ok', threads: 1 },
});

for (const isolation of ['thread', 'process'] satisfies Isolation[]) {
  test(`a caller with the same options gets the pre-started pools, the next caller new ones; both work (${isolation})`, async () => {
    const preStarted = new PreStarted(isolation, [stage()]);
    const first = await preStarted.take(isolation, [stage()]);
    const second = await preStarted.take(isolation, [stage()]);
    try {
      assert.notEqual(first.pools[0], second.pools[0]);
      const [slice] = slicesOf(chainGraph(1), []);
      for (const { pools } of [first, second]) {
        await pools[0]!.load([slice!]);
        const { outputs } = await pools[0]!.probe(keyOf(slice!), [
          { dtype: 'float32', shape: [1, 4], data: new Float32Array(4) },
        ]);
        assert.deepEqual(outputs[0]!.data, new Float32Array(4).fill(1));
      }
      // Closing it does not close pools that were taken.
      await preStarted.close();
      await first.pools[0]!.load([slice!]);
    } finally {
      await Promise.all([closePools(first), closePools(second)]);
    }
  });
}

test('processes that are not taken, or have other options, end', { skip: noProc }, async () => {
  const unused = new PreStarted('process', [stage()]);
  await unused.close();
  assert.deepEqual(hostsOf(process.pid), []);
  const other = new PreStarted('process', [stage()]);
  const taken = await other.take('process', [stage(2)]);
  try {
    assert.equal(taken.pools[0]!.options.workers, 2);
    assert.equal(hostsOf(process.pid).length, 1);
  } finally {
    await closePools(taken);
  }
});

test('workers that were to read a missing model ahead load another one', async () => {
  const options: PoolOptions = { ...stage(), engine: 'onnxruntime', engineOptions: { provider: 'cpu', threads: 1 } };
  const folder = mkdtempSync(join(tmpdir(), 'tandem-pre-started-'));
  const preStarted = new PreStarted('thread', [options], join(folder, 'gone.onnx'));
  const taken = await preStarted.take('thread', [options]);
  try {
    const [slice] = slicesOf(await openModel(makeOnnx('mlp', join(folder, 'mlp'), { layers: 3, hidden: 16 })), []);
    assert.equal((await taken.pools[0]!.load([slice!])).ranOn, 'cpu');
  } finally {
    await closePools(taken);
    rmSync(folder, { recursive: true });
  }
});

test('take throws the error of pools that cannot be opened', async () => {
  const card = (index: number): PoolOptions => ({
    ...{ device: `gpu:${index}`, engine: 'onnxruntime', workers: 1, deadlineMs: 60_000 },
    engineOptions: { provider: 'webgpu', threads: 1, deviceIndex: index },
  });
  const crowd = [card(0), card(1)];
  const preStarted = new PreStarted('thread', crowd);
  await assert.rejects(preStarted.take('thread', crowd), { code: 'TANDEM_USAGE' });
  await preStarted.close();
});
