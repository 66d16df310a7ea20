/** What the stages of one process must agree on, wherever their plan comes from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPools } from '../../src/pool/isolation.js';
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
