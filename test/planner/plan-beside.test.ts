/** Plans beside the threads that prepare rows: fewer cores where these need some, and a pace that both can keep. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withCores } from '../../src/machine/cores-left.js';
import { readCores } from '../../src/machine/machine.js';
import type { Plan } from '../../src/plan/plan.js';
import { planBeside } from '../../src/planner/plan-beside.js';
import type { Preparing } from '../../src/rows/preparing.js';

function preparing(secondsPerRow: number | null): Preparing {
  const use = { rows: 0, rowsBefore: 0, busySeconds: 0, spans: [] };
  return { what: 'decode images', usualThreads: 3, threads: 0, secondsPerRow, use, measure: async () => {} };
}

/** One worker with all cores, a hundred rows a second for each. */
async function make(): Promise<Plan> {
  const threads = readCores();
  const stage = { device: 'cpu', engine: 'onnxruntime', provider: 'cpu', threads, workers: 1 };
  return {
    stages: [{ ...stage, layers: { from: 0, to: 0 }, ops: { from: 0, to: 1 } }],
    ...{ microBatch: 8, depth: 2, isolation: 'thread', cutBy: 'measured' },
    expected: {
      ...{ name: '1 stage: cpu', rowsPerSecond: 100 * threads, bubble: 0, lowerBound: 0, verified: true },
      stages: [{ seconds: 1, bytes: 1, budget: null, utilisation: 1 }],
    },
  };
}

test('cores are kept for the threads, and the stages are planned again with the others', async () => {
  if (readCores() < 2) return;
  await withCores(2, async () => {
    const plan = await planBeside({ preparing: preparing(0.01), perRow: 1, mayReserve: true }, make);
    assert.equal(plan.stages[0]!.threads, 1);
    assert.deepEqual(plan.preparing, { what: 'decode images', threads: 1, secondsPerRow: 0.01, cores: 1 });
    assert.equal(plan.expected!.rowsPerSecond, 100);
  });
});

test('named stages keep their cores, and the promise is what both do on the same ones', async () => {
  const cores = readCores();
  const plan = await planBeside({ preparing: preparing(0.01), perRow: 1, mayReserve: false }, make);
  assert.equal(plan.stages[0]!.threads, cores);
  assert.equal(plan.preparing!.cores, 0);
  assert.ok(Math.abs(plan.expected!.rowsPerSecond - 50 * cores) < 1e-6, `${plan.expected!.rowsPerSecond}`);
  assert.ok(Math.abs(plan.expected!.bubble - 0.5) < 1e-6);
});

test('a plan that nobody measured has the usual threads; without preparation it is left alone', async () => {
  const quick = async () => ({ ...(await make()), expected: undefined }) as unknown as Plan;
  const plan = await planBeside({ preparing: preparing(0.01), perRow: 1, mayReserve: true }, quick);
  assert.deepEqual(plan.preparing, { what: 'decode images', threads: 3, secondsPerRow: 0.01, cores: 0 });
  for (const none of [null, preparing(null)]) {
    assert.equal((await planBeside({ preparing: none, perRow: 1, mayReserve: true }, make)).preparing, undefined);
  }
});
