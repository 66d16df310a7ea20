/** A stage that runs out of memory during a job continues with smaller sub-batches, and every row has the right result. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import type { TandemError } from '../../src/errors.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import type { Feed } from '../../src/pipeline/micro-batch.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { makePlan } from '../../src/planner/make-plan.js';
import type { Isolation } from '../../src/pool/isolation.js';

process.env.TANDEM_ENGINE_MODULE = new URL('../fixtures/starving-engine.js', import.meta.url).href;

const ROWS = 37;
const MICRO_BATCH = 8;
const WIDTH = 16;

let folder: string;
let graph: ModelGraph;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-split-'));
  graph = await openModel(makeOnnx('mlp', folder, { layers: 3 }));
});
after(() => rmSync(folder, { recursive: true }));

/** Runs all rows through stages on these devices: the results, and the largest sub-batch of each stage. */
async function run(devices: readonly string[], isolation: Isolation, workers = 1) {
  const rowSpecs = [{ ...graph.inputs[0]!, shape: [WIDTH] }];
  const stages = devices.map((device) => ({ device, provider: 'custom', threads: 1, workers }));
  const plan = await makePlan(graph, { stages, microBatch: MICRO_BATCH, isolation, rowSpecs, deadlineMs: 60_000 });
  const pipeline = await Pipeline.open(graph, plan, { allowFallback: false, deadlineMs: 60_000 });
  try {
    await pipeline.warmUp(rowSpecs);
    const results: number[] = [];
    for await (const { outputs, rows, failed } of pipeline.run(feed())) {
      assert.equal(failed.size, 0);
      const { data } = outputs.get(graph.outputs[0]!)!;
      results.push(...Array.from(data as Float32Array).slice(0, (data.length / MICRO_BATCH) * rows || undefined));
    }
    return { results, rowsAtOnce: pipeline.rowsAtOnce };
  } finally {
    await pipeline.close();
  }
}

/** Rows that all differ. */
function feed(): Feed {
  let row = 0;
  return {
    async fill([into]) {
      const rows = Math.min(MICRO_BATCH, ROWS - row);
      for (let n = 0; n < rows * WIDTH; n++) into!.data[n] = Math.sin(row * WIDTH + n);
      row += rows;
      return rows;
    },
  };
}

function assertClose(actual: readonly number[], expected: readonly number[]): void {
  assert.equal(actual.length, expected.length);
  for (const [n, value] of actual.entries()) assert.ok(Math.abs(value - expected[n]!) < 1e-6, `${n}: ${value}`);
}

for (const isolation of ['thread', 'process'] as const) {
  test(`${isolation}: the stage that has no memory for a micro-batch computes sub-batches; the others do not change`, async () => {
    const whole = await run(['cpu', 'cpu'], isolation);
    assert.deepEqual(whole.rowsAtOnce, [null, null]);
    const split = await run(['cpu', 'cpu:3'], isolation);
    assert.deepEqual(split.rowsAtOnce, [null, 4]);
    assertClose(split.results, whole.results);
  });
}

test('both stages, with several workers each', async () => {
  const whole = await run(['cpu', 'cpu'], 'thread');
  const split = await run(['cpu:5', 'cpu:1'], 'thread', 2);
  assert.deepEqual(split.rowsAtOnce, [4, 4]);
  assertClose(split.results, whole.results);
});

test('a model that fixes its rows cannot be split: the failure is reported', async () => {
  const { fixedBatch } = graph;
  graph = { ...graph, fixedBatch: MICRO_BATCH };
  try {
    await assert.rejects(
      run(['cpu', 'cpu:3'], 'thread'),
      (error) => (error as TandemError).code === 'TANDEM_OUT_OF_MEMORY',
    );
  } finally {
    graph = { ...graph, fixedBatch };
  }
});
