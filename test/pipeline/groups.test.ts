/** If a stage keeps state for its rows, a sequence group always goes to the same worker. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Pipeline } from '../../src/pipeline/pipeline.js';
import { problemsOf } from '../../src/schedule/check.js';
import { CountingFeed, firstsOf, openChain } from '../fixtures/chain.js';
import { recordedBy, shapeOf } from '../fixtures/recorded.js';

/** Micro-batch i is of group `groups[i]`. */
class GroupedFeed extends CountingFeed {
  readonly #groups: readonly number[];
  #next = 0;

  constructor(groups: readonly number[], microBatch: number) {
    super(groups.length * microBatch);
    this.#groups = groups;
  }

  traits() {
    return { group: this.#groups[this.#next++] };
  }
}

const GROUPS = Array.from({ length: 60 }, (_, i) => (i * 7 + (i >> 2)) % 5);
const MICRO_BATCH = 2;

/** The workers of each stage that computed each group. */
function workersOfGroups(pipeline: Pipeline): Map<string, Set<number>> {
  const found = new Map<string, Set<number>>();
  for (const { stage, microBatch, worker } of recordedBy(pipeline)) {
    const key = `${stage}/${GROUPS[microBatch]}`;
    found.set(key, (found.get(key) ?? new Set()).add(worker));
  }
  return found;
}

for (const isolation of ['thread', 'process'] as const) {
  test(`${isolation}: a group goes to the same one of two workers, in each stage, and both have groups`, async () => {
    const chain = { providers: ['ok', 'ok'], workers: [2, 2], isolation, depth: 5, microBatch: MICRO_BATCH };
    const pipeline = await openChain({ ...chain, keepsState: true });
    try {
      const rows = GROUPS.length * MICRO_BATCH;
      const expected = Array.from({ length: rows }, (_, row) => row + 2);
      assert.deepEqual(await firstsOf(pipeline, new GroupedFeed(GROUPS, MICRO_BATCH)), expected);
      const workers = workersOfGroups(pipeline);
      assert.equal(workers.size, 2 * 5);
      for (const [key, own] of workers) assert.equal(own.size, 1, key);
      assert.equal(new Set([...workers.values()].flatMap((own) => [...own])).size, 2);
      const shape = shapeOf(pipeline, { groupOf: (i) => GROUPS[i]! });
      assert.deepEqual(problemsOf(recordedBy(pipeline), shape, GROUPS.length), []);
    } finally {
      await pipeline.close();
    }
  });

  test(`${isolation}: the replacement of a lost worker takes its groups`, async () => {
    const flag = join(mkdtempSync(join(tmpdir(), 'tandem-')), 'happened');
    const chain = { providers: ['ok', `exit@${flag}`], workers: [1, 2], isolation, depth: 5, microBatch: MICRO_BATCH };
    const pipeline = await openChain({ ...chain, keepsState: true });
    try {
      const expected = Array.from({ length: GROUPS.length * MICRO_BATCH }, (_, row) => row + 2);
      // If no worker had the lost one's index, its micro-batches would never be computed.
      assert.deepEqual(await firstsOf(pipeline, new GroupedFeed(GROUPS, MICRO_BATCH)), expected);
    } finally {
      await pipeline.close();
    }
  });
}
