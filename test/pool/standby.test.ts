/** Pools on standby: taken once by who asks for the same, ended where nobody does, and their errors told to who takes them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { openModel } from '../../src/model/open.js';
import { slicesOf } from '../../src/model/slice.js';
import { closePools, type Isolation } from '../../src/pool/isolation.js';
import type { PoolOptions } from '../../src/pool/pool.js';
import { Standby } from '../../src/pool/standby.js';
import { chainGraph } from '../fixtures/chain.js';
import { hostsOf, noProc } from '../fixtures/children.js';

const stage = (workers = 1): PoolOptions => ({
  ...{ device: 'cpu', engine: 'custom', workers, deadline: 60_000 },
  engineOptions: { provider: 'ok', threads: 1 },
});

for (const isolation of ['thread', 'process'] satisfies Isolation[]) {
  test(`who asks for the same gets the pools on standby, the next one others; both work (${isolation})`, async () => {
    const standby = new Standby(isolation, [stage()]);
    const first = await standby.take(isolation, [stage()]);
    const second = await standby.take(isolation, [stage()]);
    try {
      assert.notEqual(first.pools[0], second.pools[0]);
      const [slice] = slicesOf(chainGraph(1), []);
      for (const { pools } of [first, second]) {
        await pools[0]!.load(slice!);
        const { outputs } = await pools[0]!.probe([{ dtype: 'float32', shape: [1, 4], data: new Float32Array(4) }]);
        assert.deepEqual(outputs[0]!.data, new Float32Array(4).fill(1));
      }
      // What was taken is no longer the standby's to end.
      await standby.close();
      await first.pools[0]!.load(slice!);
    } finally {
      await Promise.all([closePools(first), closePools(second)]);
    }
  });
}

test('processes that nobody takes, or that are not what is asked for, end', { skip: noProc }, async () => {
  const unused = new Standby('process', [stage()]);
  await unused.close();
  assert.deepEqual(hostsOf(process.pid), []);
  const other = new Standby('process', [stage()]);
  const taken = await other.take('process', [stage(2)]);
  try {
    assert.equal(taken.pools[0]!.options.workers, 2);
    assert.equal(hostsOf(process.pid).length, 1);
  } finally {
    await closePools(taken);
  }
});

test('workers that were to read a model ahead that is not there load another all the same', async () => {
  const options: PoolOptions = { ...stage(), engine: 'onnxruntime', engineOptions: { provider: 'cpu', threads: 1 } };
  const folder = mkdtempSync(join(tmpdir(), 'tandem-standby-'));
  const standby = new Standby('thread', [options], join(folder, 'gone.onnx'));
  const taken = await standby.take('thread', [options]);
  try {
    const [slice] = slicesOf(await openModel(makeOnnx('mlp', join(folder, 'mlp'), { layers: 3, hidden: 16 })), []);
    assert.equal((await taken.pools[0]!.load(slice!)).ranOn, 'cpu');
  } finally {
    await closePools(taken);
    rmSync(folder, { recursive: true });
  }
});

test('what cannot be opened is told to who takes it', async () => {
  const card = (index: number): PoolOptions => ({
    ...{ device: `gpu:${index}`, engine: 'onnxruntime', workers: 1, deadline: 60_000 },
    engineOptions: { provider: 'webgpu', threads: 1, deviceIndex: index },
  });
  const crowd = [card(0), card(1)];
  const standby = new Standby('thread', crowd);
  await assert.rejects(standby.take('thread', crowd), { code: 'TANDEM_USAGE' });
  await standby.close();
});
