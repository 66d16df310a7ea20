/** The coordinator over real pools, threads and processes: order, back-pressure, partial and padded micro-batches, faults, reuse. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { TandemError } from '../../src/errors.js';
import { type Feed, NOTHING } from '../../src/pipeline/micro-batch.js';
import { type ChainOptions, CountingFeed, firstsOf, openChain } from '../fixtures/chain.js';

const expected = (rows: number, stages: number) => Array.from({ length: rows }, (_, row) => row + stages);
const flag = () => join(mkdtempSync(join(tmpdir(), 'tandem-')), 'happened');
const rejectsWith = (promise: Promise<unknown>, code: string, message?: RegExp) =>
  assert.rejects(
    promise,
    (error) => error instanceof TandemError && error.code === code && (!message || message.test(error.message)),
  );

async function withChain<T>(
  options: ChainOptions,
  body: (pipeline: Awaited<ReturnType<typeof openChain>>) => Promise<T>,
): Promise<T> {
  const pipeline = await openChain(options);
  try {
    return await body(pipeline);
  } finally {
    await pipeline.close();
  }
}

for (const isolation of ['thread', 'process'] as const) {
  const using: typeof withChain = (options, body) => withChain({ isolation, ...options }, body);
  test(`${isolation}: any rows, micro-batch, depth, stages and workers: every row once, in order, through every stage`, async () => {
    const shapes = fc.record({
      rows: fc.integer({ min: 0, max: 60 }),
      microBatch: fc.integer({ min: 1, max: 7 }),
      depth: fc.integer({ min: 1, max: 6 }),
      workers: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(shapes, async ({ rows, microBatch, depth, workers }) => {
        await using({ providers: workers.map(() => 'ok'), workers, microBatch, depth }, async (pipeline) => {
          assert.deepEqual(await firstsOf(pipeline, new CountingFeed(rows)), expected(rows, workers.length));
        });
      }),
      { numRuns: 12 },
    );
  });

  test(`${isolation}: no more rows are read than slots can hold while the consumer does nothing`, async () => {
    await using({ providers: ['ok', 'ok'], depth: 3, microBatch: 4 }, async (pipeline) => {
      const feed = new CountingFeed(1000);
      const run = pipeline.run(feed);
      await run.next();
      // After many iterations of the event loop nothing more is read.
      for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
      assert.ok(feed.read <= 3 * 4, `read ${feed.read}`);
      await run.return(undefined);
    });
  });

  test(`${isolation}: a model with a fixed batch gets padded micro-batches and gives back only real rows`, async () => {
    await using({ providers: ['ok', 'ok'], microBatch: 8, fixedBatch: 8 }, async (pipeline) => {
      assert.deepEqual(await firstsOf(pipeline, new CountingFeed(19)), expected(19, 2));
    });
  });

  test(`${isolation}: after NOTHING an empty micro-batch comes out in order, and no stage computes it`, async () => {
    await using({ providers: ['ok', 'ok'], microBatch: 4, depth: 2 }, async (pipeline) => {
      const good = new CountingFeed(6);
      const answers: (typeof NOTHING | null)[] = [NOTHING, null, NOTHING, NOTHING, NOTHING, null, NOTHING];
      const feed: Feed = { fill: async (into) => answers.shift() ?? good.fill(into) };
      const found: [number, number, number[]][] = [];
      for await (const { index, rows, outputs } of pipeline.run(feed)) {
        found.push([index, rows, [...outputs.values()][0]!.shape as number[]]);
      }
      const width = found[1]![2][1];
      const none = (index: number) => [index, 0, [0, width]];
      assert.deepEqual(found, [
        none(0),
        [0, 4, [4, width]],
        ...[none(1), none(1), none(1)],
        [1, 2, [2, width]],
        none(2),
      ]);
      assert.equal(pipeline.timeline.uses()[0]!.microBatches, 2);
    });
  });

  test(`${isolation}: a consumer that leaves early frees every slot, and the pipeline runs again`, async () => {
    await using({ providers: ['ok', 'ok'] }, async (pipeline) => {
      for await (const { index } of pipeline.run(new CountingFeed(500))) if (index === 2) break;
      assert.deepEqual(await firstsOf(pipeline, new CountingFeed(30)), expected(30, 2));
    });
  });

  test(`${isolation}: a second run during the first is refused`, async () => {
    await using({ providers: ['ok'] }, async (pipeline) => {
      const first = pipeline.run(new CountingFeed(10));
      await first.next();
      await rejectsWith(pipeline.run(new CountingFeed(1)).next(), 'TANDEM_USAGE', /already runs/);
      await first.return(undefined);
    });
  });

  test(`${isolation}: a feed that fails is reported after the rows before it, with its own error`, async () => {
    await using({ providers: ['ok', 'ok'] }, async (pipeline) => {
      const good = new CountingFeed(8);
      const feed = {
        fill: async (into: Parameters<typeof good.fill>[0]) =>
          (await good.fill(into)) || Promise.reject(new TandemError('TANDEM_INPUT_CHANGED', 'gone')),
      };
      let rows = 0;
      await rejectsWith(
        (async () => {
          for await (const batch of pipeline.run(feed)) rows += batch.rows;
        })(),
        'TANDEM_INPUT_CHANGED',
      );
      assert.equal(rows, 8);
      assert.deepEqual(await firstsOf(pipeline, new CountingFeed(9)), expected(9, 2));
    });
  });

  for (const stage of [0, 1]) {
    test(`${isolation}: a worker of stage ${stage} that exits during a job is replaced, and the rows are the same`, async () => {
      const providers = ['ok', 'ok'];
      providers[stage] = `exit@${flag()}`;
      await using({ providers, workers: [2, 2] }, async (pipeline) => {
        assert.deepEqual(await firstsOf(pipeline, new CountingFeed(80)), expected(80, 2));
      });
    });
  }

  test(`${isolation}: a stage whose workers always die ends the run after a bounded number of restarts`, async () => {
    await using({ providers: ['ok', 'exit'] }, async (pipeline) => {
      await rejectsWith(firstsOf(pipeline, new CountingFeed(80)), 'TANDEM_STAGE_DIED');
    });
  });

  test(`${isolation}: an error that zeros cause too keeps its code and remedy, and the pipeline can be used again`, async () => {
    await using({ providers: ['ok', 'throw'] }, async (pipeline) => {
      await assert.rejects(firstsOf(pipeline, new CountingFeed(80)), (error) => {
        assert.ok(error instanceof TandemError);
        assert.deepEqual(
          [error.code, error.message, error.remedy],
          ['TANDEM_ENGINE_FAILED', 'the op broke', 'mend it'],
        );
        return true;
      });
      await rejectsWith(firstsOf(pipeline, new CountingFeed(20)), 'TANDEM_ENGINE_FAILED');
    });
  });

  test(`${isolation}: a fault that does not occur again changes no result`, async () => {
    await using({ providers: [`throw@${flag()}`, `throw@${flag()}`] }, async (pipeline) => {
      assert.deepEqual(await firstsOf(pipeline, new CountingFeed(80)), expected(80, 2));
    });
  });

  test(`${isolation}: a result that is larger than its region is an error, and its neighbour is not overwritten`, async () => {
    await using({ providers: ['grow', 'ok'] }, (pipeline) =>
      rejectsWith(firstsOf(pipeline, new CountingFeed(80)), 'TANDEM_STAGE_FAILED', /its region is/),
    );
  });

  test(`${isolation}: a stage that hangs ends at the deadline`, async () => {
    await using({ providers: ['ok', 'hang'], deadlineMs: 300 }, (pipeline) =>
      rejectsWith(firstsOf(pipeline, new CountingFeed(80)), 'TANDEM_STAGE_TIMEOUT'),
    );
  });

  test(`${isolation}: a stage that cannot load reports the reason, and nothing is left running`, async () => {
    await rejectsWith(
      openChain({ providers: ['ok', 'load-throws'], isolation }),
      'TANDEM_MODEL_INVALID',
      /no such slice/,
    );
  });

  test(`${isolation}: closing a pipeline during a job ends its reader with TANDEM_CLOSED, and nothing is restarted`, async () => {
    for (const taken of [0, 1, 5]) {
      const pipeline = await openChain({ providers: ['ok', 'ok', 'ok'], microBatch: 1, isolation });
      const reading = pipeline.run(new CountingFeed(10_000));
      for (let n = 0; n < taken; n++) await reading.next();
      const next = reading.next();
      await Promise.all([
        pipeline.close(),
        rejectsWith(
          (async () => {
            await next;
            while (!(await reading.next()).done);
          })(),
          'TANDEM_CLOSED',
          /has been closed/,
        ),
      ]);
    }
  });

  test(`${isolation}: results that were not read before the pipeline was closed are not returned`, async () => {
    const pipeline = await openChain({ providers: ['ok', 'ok'], microBatch: 1, depth: 4, isolation });
    const reading = pipeline.run(new CountingFeed(10_000));
    await reading.next();
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    await pipeline.close();
    await rejectsWith(reading.next(), 'TANDEM_CLOSED', /has been closed/);
  });

  test(`${isolation}: the timeline counts every micro-batch in every stage and never more time than has passed`, async () => {
    await using({ providers: ['ok', 'ok'], workers: [2, 1], microBatch: 2 }, async (pipeline) => {
      await firstsOf(pipeline, new CountingFeed(40));
      const { timeline } = pipeline;
      assert.equal(timeline.spans.length, 40);
      for (const use of timeline.uses()) {
        assert.equal(use.microBatches, 20);
        assert.ok(use.utilisation > 0 && use.utilisation <= 1);
      }
      for (const { readyAt, acceptedAt, finishedAt } of timeline.spans)
        assert.ok(readyAt <= acceptedAt && acceptedAt <= finishedAt);
    });
  });
}

// Workers of a process end together.
test('thread: a worker that exits while another is being replaced is replaced as well', async () => {
  await withChain({ providers: [`exit-in-turn@${flag()}`, 'ok'], workers: [2, 1] }, async (pipeline) => {
    assert.deepEqual(await firstsOf(pipeline, new CountingFeed(120)), expected(120, 2));
  });
});
