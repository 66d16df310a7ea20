/** What the stages of one process must agree on, wherever their plan comes from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPools } from '../../src/pool/isolation.js';

test('threads of one process tell its libraries once how many threads to take, and refuse a second word', () => {
  const stage = (threads: number) =>
    ({
      ...{ device: 'cpu', engine: 'tfjs', workers: 1, deadline: 1000 },
      engineOptions: { provider: 'tensorflow', threads },
    }) as const;
  assert.throws(() => openPools('thread', [stage(3), stage(2)]), {
    code: 'TANDEM_USAGE',
    message: /^tfjs already runs with 3 threads/,
  });
  assert.equal(process.env.TF_NUM_INTRAOP_THREADS, '3');
});
