/** Verification: if a process exceeds its budget while its plan is tried, the plan is made once more with the bytes that it holds by then. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeOnnx } from '../../../scripts/make-onnx.js';
import type { ModelGraph } from '../../../src/model/graph.js';
import { openModel } from '../../../src/model/open.js';
import { settlePlan } from '../../../src/planner/settle.js';

process.env.TANDEM_ENGINE_MODULE = new URL('../../fixtures/growing-engine.js', import.meta.url).href;

const MEBI = 2 ** 20;

let folder: string;
let cacheBefore: string | undefined;
let graph: ModelGraph;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-verify-'));
  cacheBefore = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = folder;
  process.env.TANDEM_TEST_GROW = join(folder, 'grow');
  graph = await openModel(makeOnnx('mlp', join(folder, 'mlp'), { layers: 16, hidden: 1024 }));
});
after(() => {
  if (cacheBefore === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cacheBefore;
  rmSync(folder, { recursive: true });
});

/** A different depth makes a different plan, so it does not come from the cache. */
function settle(memory: number, depth: number, onProgress: (text: string) => void) {
  const stage = { device: 'cpu', provider: 'custom', threads: 1 };
  const rowSpecs = [{ ...graph.inputs[0]!, shape: [1024] }];
  const stages = [{ ...stage, memory }, stage];
  return settlePlan(graph, {
    rowSpecs,
    stages,
    microBatch: 4,
    depth,
    deadlineMs: 60_000,
    allowFallback: false,
    // The second call must plan with the measurements of the first, however busy the machine is.
    readTicks: () => null,
    onProgress,
  });
}

test('a stage that exceeds its budget by the end of its trial gets fewer layers, and its budget is checked again', async () => {
  const honest = await settle(2 ** 40, 4, () => {});
  const { layers } = honest.stages[0]!;
  // The stage fits until it grows by 2 MiB for each op.
  const memory = honest.expected!.stages[0]!.bytes + 8 * MEBI;
  const messages: string[] = [];
  const leaner = await settle(memory, 5, (text) => {
    messages.push(text);
    if (text.startsWith('watching')) writeFileSync(process.env.TANDEM_TEST_GROW!, '');
  });
  assert.ok(messages.some((text) => text.startsWith('watching')));
  assert.ok(
    leaner.stages[0]!.layers.to < layers.to,
    `${JSON.stringify(leaner.stages[0])} of ${JSON.stringify(layers)}`,
  );
  assert.ok(leaner.expected!.verified && leaner.expected!.stages[0]!.bytes <= memory);
});
