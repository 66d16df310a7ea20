/** The stages of a job that names none: they follow from its rows, the cores and the memory. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { readMachine } from '../../src/machine/machine.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { openModel } from '../../src/model/open.js';
import { firstStages } from '../../src/planner/first-stages.js';
import { largestMicroBatch } from '../../src/planner/job-rows.js';
import { makePlan } from '../../src/planner/make-plan.js';

const { cores, memory } = readMachine();
const skip = cores < 2 && 'one core has one worker only';

let folder: string;
let graph: ModelGraph;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-first-'));
  makeOnnx('mlp', join(folder, 'mlp'), { layers: 3 });
  graph = await openModel(join(folder, 'mlp'));
});
after(() => rmSync(folder, { recursive: true }));

/** The same model with weights of so many bytes. */
function ofBytes(bytes: number): ModelGraph {
  const [name, weight] = [...graph.weights][0]!;
  return { ...graph, weights: new Map([...graph.weights, [name, { ...weight, bytes }]]) };
}

test('a short job has one worker; a longer one has workers of the whole model that keep all cores busy', {
  skip,
}, () => {
  assert.deepEqual(firstStages(graph, 63), [{ device: 'cpu' }]);
  const [only, ...others] = firstStages(graph, 64);
  assert.deepEqual(others, []);
  const { workers, threads } = only!;
  assert.ok(
    workers! >= 2 && workers! <= 8 && workers! * threads! <= cores && workers! * (threads! + 1) > cores,
    `${workers} x ${threads}`,
  );
  assert.equal(firstStages(graph, 600, 2)[0]!.workers, 2);
});

test('a model too large for a copy in each worker is cut into two stages', { skip }, () => {
  assert.deepEqual(firstStages(ofBytes(memory.free / 2), 600), [{ device: 'cpu' }, { device: 'cpu' }]);
});

test('if the number of rows is unknown there are two stages; else the first stages of a job', {
  skip,
}, async () => {
  const plan = async (rows: number | null) =>
    (await makePlan(graph, { rowSpecs: null, rows, deadlineMs: 60_000 })).stages;
  assert.deepEqual(
    (await plan(null)).map(({ workers }) => workers),
    [1, 1],
  );
  assert.deepEqual(
    (await plan(600)).map(({ workers }) => workers),
    [firstStages(graph, 600)[0]!.workers],
  );
});

test('a job’s rows make two micro-batches or more for each of many workers', () => {
  for (const workers of [2, 8, 32]) {
    for (const rows of [64, 600, 20_000]) {
      const rowsAtOnce = largestMicroBatch(rows, [{ workers }]);
      assert.ok(rowsAtOnce === 1 || rows / rowsAtOnce >= Math.max(8, 2 * workers), `${rows} rows, ${workers} workers`);
    }
  }
});
