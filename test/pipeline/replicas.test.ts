/** Replicas: weighted round-robin decides which one computes, the order stays, and one that fails is restarted alone. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { replicaAt } from '../../src/arena/replicas.js';
import type { Pipeline } from '../../src/pipeline/pipeline.js';
import { type ChainOptions, CountingFeed, firstsOf, openChain } from '../fixtures/chain.js';

const folder = mkdtempSync(join(tmpdir(), 'tandem-replicas-'));
after(() => rmSync(folder, { recursive: true }));

async function withChain(options: ChainOptions, use: (pipeline: Pipeline) => Promise<void>): Promise<void> {
  const pipeline = await openChain(options);
  try {
    await use(pipeline);
  } finally {
    await pipeline.close();
  }
}

const upTo = (rows: number, by: number) => Array.from({ length: rows }, (_, row) => row + by);

/** Stages 0 and 1 are replicas; stage 2 comes after them. */
const PAIR = { providers: ['ok', 'ok'], depth: 6, beside: [{ provider: 'ok', turns: 2 }] };
const ROWS = 61;

for (const isolation of ['thread', 'process'] as const) {
  test(`${isolation}: each micro-batch is computed by the replica that round-robin gives it to, and comes out in order`, async () => {
    await withChain({ ...PAIR, isolation, workers: [2, 1] }, async (pipeline) => {
      assert.deepEqual(
        pipeline.replicaGroups.map(({ stages }) => stages),
        [[0, 1], [2]],
      );
      for (const first of [0, 4]) {
        const feed = new CountingFeed(ROWS);
        const came: number[] = [];
        for await (const { index, rows, outputs } of pipeline.run(feed, first)) {
          const { data } = outputs.get('y')!;
          for (let row = 0; row < rows; row++) came.push(Number(data[row * 4]) - 4 * (index - first) - row);
        }
        assert.deepEqual(came, new Array(ROWS).fill(2));
        const { roundRobin } = pipeline.replicaGroups[0]!;
        const { spans, rows } = pipeline.timeline;
        assert.equal(rows, ROWS);
        assert.deepEqual([...new Set(spans.map(({ stage }) => stage))].sort(), [0, 1, 2]);
        for (const { stage, microBatch } of spans) {
          if (stage < 2) assert.equal(stage, replicaAt(roundRobin, microBatch), `micro-batch ${microBatch}`);
        }
        const [one, two, last] = pipeline.timeline.uses().map(({ microBatches }) => microBatches);
        assert.equal(one! + two!, last);
        assert.ok(two! > one!);
        const { predicted } = pipeline.timeline.bubble(PAIR.depth);
        assert.ok(predicted >= 0 && predicted <= 1);
      }
    });
  });

  for (const replica of [0, 1]) {
    test(`${isolation}: replica ${replica} of two is restarted when it dies, and no row is lost`, async () => {
      const fault = `exit@${join(folder, `${isolation}-${replica}`)}`;
      const pair = {
        providers: [replica === 0 ? fault : 'ok', 'ok'],
        beside: [{ provider: replica === 1 ? fault : 'ok', turns: 1 }],
      };
      await withChain({ ...pair, isolation, depth: 5 }, async (pipeline) => {
        assert.deepEqual(await firstsOf(pipeline, new CountingFeed(ROWS)), upTo(ROWS, 2));
      });
    });
  }

  test(`${isolation}: a row that only one of them cannot compute fails alone, and a hung one is replaced`, async () => {
    const hang = `hang@${join(folder, `hang-${isolation}`)}`;
    const pair = { providers: ['rows:throw=6', 'ok'], beside: [{ provider: hang, turns: 1 }] };
    await withChain({ ...pair, isolation, depth: 4, deadlineMs: 500 }, async (pipeline) => {
      const failed: number[] = [];
      for await (const batch of pipeline.run(new CountingFeed(ROWS))) {
        for (const row of batch.failed.keys()) failed.push(batch.index * 4 + row);
      }
      // Row 6 is in micro-batch 1, which the other replica computes; row 9 goes to the replica that cannot compute it.
      assert.deepEqual(failed, []);
    });
    const other = { providers: ['rows:throw=9', 'ok'], beside: [{ provider: 'ok', turns: 1 }] };
    await withChain({ ...other, isolation, depth: 4 }, async (pipeline) => {
      const failed: number[] = [];
      for await (const batch of pipeline.run(new CountingFeed(ROWS))) {
        for (const row of batch.failed.keys()) failed.push(batch.index * 4 + row);
      }
      assert.deepEqual(failed, [9]);
    });
  });

  test(`${isolation}: if one of them cannot be restarted the run ends with the reason, and nothing hangs`, async () => {
    const pair = { providers: ['ok', 'ok'], beside: [{ provider: 'exit', turns: 1 }] };
    await withChain({ ...pair, isolation, depth: 4, microBatch: 1 }, async (pipeline) => {
      await assert.rejects(firstsOf(pipeline, new CountingFeed(4)), { code: /TANDEM_STAGE_/ });
    });
  });
}
