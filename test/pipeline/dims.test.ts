/** Micro-batches of different lengths run through one loaded pipeline without another warm-up, with the results of a pipeline of their own length. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openPipeline, type Row, type RowPipeline } from '../../src/job/open-pipeline.js';
import type { ModelGraph } from '../../src/model/graph.js';
import type { Tensor } from '../../src/tensor.js';
import { feedsOf } from '../fixtures/onnx-runs.js';
import { feedOf, KINDS, openWarm, outputsOf, stagesOf, temporaryFolder } from '../fixtures/two-engines.js';

const folder = temporaryFolder();
after(folder.remove);
process.env.TANDEM_ENGINE_MODULE = new URL('../fixtures/counting-engine.js', import.meta.url).href;
process.env.TANDEM_TEST_RUNS = join(folder.path, 'runs');

const LENGTHS = [12, 5, 1, 12, 5];
const LONGEST = 12;

/** The shape of one row of each input, at this length. */
const rowShapes = (graph: ModelGraph, length: number) =>
  graph.inputs.map(({ shape }) => shape.slice(1).map((dim) => dim ?? length));

for (const { engine, skip, sequence } of KINDS) {
  for (const isolation of ['thread', 'process'] as const) {
    test(`${engine}, ${isolation}: each micro-batch of one run has its own length`, { skip }, async () => {
      const graph = await sequence(folder.path);
      const last = graph.layers.length - 1;
      const stages = stagesOf([
        [0, last >> 1],
        [(last >> 1) + 1, last],
      ]);
      const batches = LENGTHS.map((length, n) => feedsOf(graph, 1 + (n % 4), length, n));
      const traits = LENGTHS.map((length) => ({ rowShapes: rowShapes(graph, length) }));
      const pipeline = await openWarm(graph, { stages, isolation }, rowShapes(graph, LONGEST));
      const { arenaBytes } = pipeline;
      try {
        const mixed = await outputsOf(pipeline.run(feedOf(batches, traits)));
        assert.equal(pipeline.arenaBytes, arenaBytes);
        for (const [n, length] of LENGTHS.entries()) {
          if (LENGTHS.indexOf(length) !== n) continue;
          const own = await openWarm(graph, { stages, isolation }, rowShapes(graph, length));
          try {
            const same = LENGTHS.flatMap((each, i) => (each === length ? [i] : []));
            const alone = await outputsOf(own.run(feedOf(same.map((i) => batches[i]!))));
            assert.deepEqual(
              same.map((i) => mixed[i]),
              alone,
            );
          } finally {
            await own.close();
          }
        }
      } finally {
        await pipeline.close();
      }
    });
  }

  test(`${engine}: openPipeline runs shorter rows without a new warm-up, longer ones with one`, { skip }, async () => {
    const graph = await sequence(folder.path);
    const stages = [0, 1].map(() => ({ device: 'cpu' as const, threads: 1, provider: 'custom' }));
    const options = { stages, isolation: 'thread', microBatch: 4, depth: 3 } as const;
    const rows = (length: number) => rowsOf(graph, 8, length);
    const expected = new Map<number, unknown[]>();
    for (const length of [1, 3, 6, 9]) {
      await using own = await openPipeline(graph.path, options);
      expected.set(length, await resultsOf(own, rows(length)));
    }
    await using pipeline = await openPipeline(graph.path, options);
    const runs = async (length: number) => {
      writeFileSync(process.env.TANDEM_TEST_RUNS!, '');
      assert.deepEqual(await resultsOf(pipeline, rows(length)), expected.get(length));
      return readFileSync(process.env.TANDEM_TEST_RUNS!, 'utf8').trim().split('\n').length;
    };
    const computed = 2 * stages.length;
    assert.ok((await runs(6)) > computed, 'the first run warms up');
    for (const length of [6, 3, 1, 6]) assert.equal(await runs(length), computed);
    assert.ok((await runs(9)) > computed, 'longer rows do not fit, so they need a warm-up');
    assert.equal(await runs(3), computed);
  });
}

test('a micro-batch that does not fit into a slot is refused', async () => {
  const graph = await KINDS[0]!.sequence(folder.path);
  const stages = stagesOf([[0, graph.layers.length - 1]]);
  const pipeline = await openWarm(graph, { stages, isolation: 'thread' }, rowShapes(graph, 4));
  try {
    const feed = feedOf([feedsOf(graph, 1, 5)], [{ rowShapes: rowShapes(graph, 5) }]);
    await assert.rejects(outputsOf(pipeline.run(feed)), { code: 'TANDEM_INTERNAL', message: /there is room for/ });
  } finally {
    await pipeline.close();
  }
});

/** Rows as a program passes them. */
function rowsOf(graph: ModelGraph, rows: number, length: number): Row[] {
  const feeds = feedsOf(graph, rows, length, length);
  return Array.from({ length: rows }, (_, row) => ({
    inputs: Object.fromEntries(graph.inputs.map(({ name }, n) => [name, rowOf(feeds[n]!, row)])),
  }));
}

function rowOf({ shape, data }: Tensor, row: number) {
  const perRow = data.length / shape[0]!;
  const nested = (values: readonly unknown[], [, ...dims]: readonly number[]): unknown[] => {
    if (dims.length === 0) return [...values];
    const size = dims.reduce((product, dim) => product * dim, 1);
    return Array.from({ length: values.length / size }, (_, n) => nested(values.slice(n * size, (n + 1) * size), dims));
  };
  return nested(
    Array.from(data.subarray(row * perRow, (row + 1) * perRow) as Float32Array),
    shape.slice(1),
  ) as number[];
}

async function resultsOf(pipeline: RowPipeline, rows: readonly Row[]): Promise<unknown[]> {
  const results: unknown[] = [];
  for await (const result of pipeline.run(rows)) {
    assert.ok('outputs' in result, JSON.stringify(result));
    results.push(result.outputs);
  }
  return results;
}
