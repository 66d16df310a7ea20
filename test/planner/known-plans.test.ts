/** Kept plans and cards: a plan is used again only while its card has the memory and the driver that it was made with. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { makeOnnx } from '../../scripts/make-onnx.js';
import { type FalseDriver, FalseLibraries, whyNoFalseLibraries } from '../fixtures/false-libraries.js';

const RTX = { name: 'NVIDIA GeForce RTX 2060', uuid: 'GPU-1', bus: '00000000:01:00.0', total: 6144 };

/** Keeps a plan that holds 4 GiB on the card, or counts those that are kept. */
const CODE = `
  const { openRunnable } = await import(URLS.runnable);
  const { makePlan } = await import(URLS.makePlan);
  const { keepPlan, knownPlans, buildsOf } = await import(URLS.knownPlans);
  const [action, model] = process.argv.slice(1);
  const graph = await openRunnable(model);
  const rowSpecs = [{ ...graph.inputs[0], shape: [16] }];
  const request = { stages: [{ device: 'gpu', provider: 'webgpu', layers: { from: 0, to: 3 } }], rowSpecs, deadlineMs: 60000 };
  if (action === 'keep') {
    const plan = await makePlan(graph, { ...request, isolation: 'thread' });
    const stage = { seconds: 1, bytes: 4 * 2 ** 30, budget: null, utilisation: 1 };
    const expected = { name: 'a plan', rowsPerSecond: 1, bubble: 0, lowerBound: 1, verified: true, stages: [stage] };
    const known = { plan: { ...plan, expected, builds: buildsOf(plan) }, effort: 'measured', rows: null, stale: null, doubts: 0, seen: null };
    const unkept = keepPlan(graph, request, known);
    if (unkept) throw new Error(unkept);
  }
  console.log(knownPlans(graph, request).length);
`;

describe('kept plans', { skip: whyNoFalseLibraries() }, () => {
  let libraries: FalseLibraries;
  let model: string;
  before(() => {
    libraries = new FalseLibraries('libnvidia-ml.so.1');
    model = makeOnnx('mlp', `${libraries.folder}/mlp`);
  });
  after(() => libraries[Symbol.dispose]());

  /** How many plans are found in a process of its own. */
  function found(action: 'keep' | 'count', driver: FalseDriver): number {
    libraries.reports(driver);
    const urls = {
      runnable: import.meta.resolve('../fixtures/runnable.js'),
      makePlan: import.meta.resolve('../../src/planner/make-plan.js'),
      knownPlans: import.meta.resolve('../../src/planner/known-plans.js'),
    };
    const code = `const URLS = ${JSON.stringify(urls)};${CODE}`;
    const env = { ...process.env, ...libraries.env, XDG_CACHE_HOME: libraries.folder };
    return Number(
      execFileSync(process.execPath, ['--input-type=module', '-e', code, action, model], { env, encoding: 'utf8' }),
    );
  }

  test('are found again while the card has the memory, and not while others hold it', () => {
    assert.equal(found('keep', { cards: [RTX] }), 1);
    assert.equal(found('count', { cards: [RTX] }), 1);
    assert.equal(found('count', { cards: [{ ...RTX, used: 3000 }] }), 0);
    assert.equal(found('count', { cards: [{ ...RTX, used: 100 }] }), 1);
  });

  test('are of another machine once the driver or the card is another', () => {
    assert.equal(found('keep', { cards: [RTX] }), 1);
    assert.equal(found('count', { version: '590.10', cards: [RTX] }), 0);
    assert.equal(found('count', { cards: [{ ...RTX, name: 'NVIDIA GeForce RTX 4090' }] }), 0);
  });
});
