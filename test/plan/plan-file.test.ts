/** A plan file keeps every field of a stage, and is refused where it has one that is not known or does not fit the model. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { legalCuts } from '../../src/model/cut.js';
import type { StagePlan } from '../../src/plan/plan.js';
import { readPlanFile, writePlanFile } from '../../src/plan/plan-file.js';
import { makePlan } from '../../src/planner/make-plan.js';
import { made, temporaryFolder } from '../fixtures/onnx-runs.js';
import { openRunnable } from '../fixtures/runnable.js';

const folder = temporaryFolder();
after(folder.remove);
const file = join(folder.path, 'plan.json');
const graph = await openRunnable(made(folder.path, 'mlp', { layers: 4, hidden: 16 }));
const [stage] = [{ device: 'cpu', layers: { from: 0, to: graph.layers.length - 1 } }];
const plan = await makePlan(graph, { stages: [stage!], rowSpecs: null, deadlineMs: 60_000 });
const last = graph.ops.length;
const cut = legalCuts(graph)[1]!;

/** The plan as read back with its only stage changed. */
function readBack(change: object): StagePlan {
  writePlanFile(file, graph, { ...plan, stages: [{ ...plan.stages[0]!, ...change }] });
  return readPlanFile(file, graph).stages[0]!;
}

test('the passes of a stage, and that it keeps state, are read as they were written', () => {
  const passes = [
    { from: 0, to: cut },
    { from: cut, to: last },
  ];
  assert.deepEqual(readBack({ passes, keepsState: true }), { ...plan.stages[0]!, passes, keepsState: true });
});

test('passes that leave ops out, overlap or cut where the model cannot be cut are refused', () => {
  const wrong = [
    [{ from: 0, to: cut }],
    [
      { from: 0, to: cut },
      { from: cut - 1, to: last },
    ],
    [
      { from: 0, to: 0 },
      { from: 0, to: last },
    ],
  ];
  for (const passes of wrong) {
    assert.throws(() => readBack({ passes }), { code: 'TANDEM_USAGE', message: /passes of stage 0 do not cover/ });
  }
  const passes = [
    { from: 0, to: cut },
    { from: cut, to: last },
  ];
  readBack({ passes });
  const uncut = { ...graph, forbiddenCuts: new Set([...graph.forbiddenCuts, cut]) };
  assert.throws(() => readPlanFile(file, uncut), { code: 'TANDEM_USAGE', message: /legal cuts/ });
});

test('a stage with a field that is not known is refused by its name', () => {
  writePlanFile(file, graph, plan);
  const text = readFileSync(file, 'utf8').replace('"engine"', '"rotation": 3, "engine"');
  writeFileSync(file, text);
  assert.throws(() => readPlanFile(file, graph), { code: 'TANDEM_USAGE', message: /is not a plan.*"rotation"/ });
});
