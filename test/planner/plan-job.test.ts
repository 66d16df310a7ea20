/** Planning in proportion: a short job starts at once, a longer one is timed first, and the measurements of earlier runs are used. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { engineBuild } from '../../src/engine/choose.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import type { Plan } from '../../src/plan/plan.js';
import { type KnownPlan, keepPlan, knownPlans } from '../../src/planner/known-plans.js';
import { learnFromRun } from '../../src/planner/learn-from-run.js';
import { makePlan } from '../../src/planner/make-plan.js';
import { planJob, resize } from '../../src/planner/plan-job.js';
import type { SettleRequest } from '../../src/planner/settle.js';
import { tryAlternatives } from '../../src/planner/trial/alternatives.js';
import { Trial } from '../../src/planner/trial/trial.js';
import { rowsOfZeros } from '../../src/planner/trial/workload.js';
import { modelWithCaches } from '../fixtures/model-with-caches.js';

const { graph, rowSpecs } = await modelWithCaches();

const SETTINGS = { deadlineMs: 60_000, allowFallback: false, readTicks: () => null };
const ask = (request: Omit<Partial<SettleRequest>, 'rowSpecs'>) => ({ ...SETTINGS, ...request, rowSpecs });

test('a job of a few rows has one stage with one worker; nothing is loaded to time it', async () => {
  const { plan, effort, trial, why } = await planJob(graph, ask({ rows: 4 }));
  assert.equal(effort, 'quick');
  assert.equal(trial, null);
  assert.deepEqual([plan.stages.length, plan.stages[0]!.workers, plan.microBatch], [1, 1, 2]);
  assert.match(why!, /not measured: a job of 4 rows/);
});

test('a longer job is timed on the plan that it starts with, and then runs on it', async () => {
  const { plan, effort, trial } = await planJob(graph, ask({ rows: 600 }));
  try {
    assert.equal(effort, 'quick', 'this model is very fast');
    assert.equal(trial!.plan, plan);
    assert.ok(trial!.loadSeconds > 0);
    assert.deepEqual(knownPlans(graph, ask({ rows: 600 })), [], 'a first timing keeps no plan');
  } finally {
    await trial?.close();
  }
});

test('the plan of an earlier run is used without timing it again, and a longer job is measured', async () => {
  // Named, because one worker alone would load sooner.
  const request = ask({ rows: 600, microBatch: 8, stages: [{ device: 'cpu', threads: 1, workers: 2 }] });
  const { trial, effort } = await planJob(graph, request);
  const pipeline = trial!.release();
  try {
    const feed = rowsOfZeros(rowSpecs).feed({ rows: 600, microBatch: 8, depth: pipeline.plan.depth });
    for await (const _ of pipeline.run(feed)) feed.taken();
    assert.equal(learnFromRun(pipeline, { ...request, effort }, { loadSeconds: 0.2, busy: null }), null);
  } finally {
    await pipeline.close();
  }
  const again = await planJob(graph, request);
  assert.equal(again.trial, null);
  assert.deepEqual(again.plan.stages, JSON.parse(JSON.stringify(pipeline.plan.stages)));
  assert.match(again.why!, /the job takes about 0\.\d+ s/);

  // With the pace of a very slow job, the layers are measured.
  const [known] = knownPlans(graph, request);
  keepPlan(graph, request, { ...known!, seen: { ...known!.seen!, secondsPerRow: 1000 } });
  const measured = await planJob(graph, request);
  assert.equal(measured.effort, 'measured');
  assert.equal(measured.plan.cutBy, 'measured');
  assert.equal(measured.why, null);
});

test('what was measured beside other work is not held against a run that was planned anew', async () => {
  const request = ask({ rows: 400, microBatch: 8, stages: [{ device: 'cpu', threads: 1, workers: 1 }] });
  const { trial, effort } = await planJob(graph, request);
  const pipeline = trial!.release();
  const { plan } = pipeline;
  const stage = { seconds: 1000, bytes: 0, share: 1 };
  const expected = { rowsPerSecond: 0.008, verified: true, busy: 0.5, stages: [stage] } as unknown as Plan['expected'];
  const slow = { ...plan, expected, builds: { cpu: engineBuild('onnxruntime', 'cpu') } } as Plan;
  try {
    const feed = rowsOfZeros(rowSpecs).feed({ rows: 400, microBatch: 8, depth: plan.depth });
    for await (const _ of pipeline.run(feed)) feed.taken();
    const after = (busy: number | null) => {
      keepPlan(graph, request, { plan: slow, effort: 'tried', rows: 400, stale: null, doubts: 0, seen: null });
      const why = learnFromRun(pipeline, { ...request, effort }, { loadSeconds: 0.2, busy });
      const [known] = knownPlans(graph, request);
      return { why, busy: known!.plan.expected?.busy, effort: known!.effort, seen: known!.seen!.loadSeconds };
    };
    assert.deepEqual(after(null), { why: null, busy: undefined, effort: 'quick', seen: 0.2 });
    assert.deepEqual(after(0.5), { why: null, busy: 0.5, effort: 'tried', seen: 0.2 });
  } finally {
    await pipeline.close();
  }
});

test('if loading takes nearly all of the time, the job starts with one worker once that is known', async () => {
  const request = ask({ rows: 600 });
  const [plan, alone] = await Promise.all(
    [2, 1].map((workers) =>
      makePlan(graph, { ...request, stages: [{ device: 'cpu', threads: 1, workers }], microBatch: 8 }),
    ),
  );
  const builds = { cpu: engineBuild('onnxruntime', 'cpu') };
  const known = (of: Plan, secondsPerRow: number, loadSeconds: number): KnownPlan => {
    const seen = { secondsPerRow, loadSeconds };
    return { plan: { ...of, builds }, effort: 'tried', rows: 600, stale: null, doubts: 0, seen };
  };
  keepPlan(graph, request, known(plan!, 0.01, 1));
  assert.equal((await planJob(graph, request)).plan.stages[0]!.workers, 2, 'its rows take six seconds');
  keepPlan(graph, request, known(plan!, 1.9 / 600, 1));
  assert.equal((await planJob(graph, request)).plan.stages[0]!.workers, 1);
  // Once both have run, their measured times decide.
  keepPlan(graph, request, known(alone!, 0.0001, 3));
  assert.equal((await planJob(graph, request)).plan.stages[0]!.workers, 2);
});

test('a plan that is stale because a run was slower still serves jobs for which measuring does not pay', async () => {
  const request = ask({ rows: 600 });
  const [plan, other] = await Promise.all(
    [4, 8].map((microBatch) => makePlan(graph, { ...request, stages: [{ device: 'cpu', threads: 1 }], microBatch })),
  );
  const builds = { cpu: engineBuild('onnxruntime', 'cpu') };
  const known = (of: Plan, secondsPerRow: number, how: Partial<KnownPlan>): KnownPlan => {
    const seen = { secondsPerRow, loadSeconds: 0.5 };
    return { plan: { ...of, builds }, effort: 'tried', rows: 600, stale: null, doubts: 0, seen, ...how };
  };
  keepPlan(graph, request, known(plan!, 0.002, { effort: 'measured', stale: 'slower', wasSlower: true, doubts: 1 }));
  assert.equal((await planJob(graph, request)).plan.microBatch, 4);
  keepPlan(graph, request, known(other!, 0.004, { effort: 'quick' }));
  assert.equal((await planJob(graph, request)).plan.microBatch, 4, 'its runs were faster');
  keepPlan(graph, request, known(other!, 0.001, { effort: 'quick' }));
  assert.equal((await planJob(graph, request)).plan.microBatch, 8, 'the other is faster');
  // One that was faster than its plan was measured in a busy moment: nothing of it is trusted.
  keepPlan(graph, request, known(plan!, 0.0005, { effort: 'measured', stale: 'faster' }));
  assert.equal((await planJob(graph, request)).plan.microBatch, 8);
});

test('a plan that was measured beside other work still serves a job that is too short to try any', async () => {
  const request = ask({ rows: 600 });
  const plan = await makePlan(graph, { ...request, stages: [{ device: 'cpu', threads: 1 }], microBatch: 4 });
  const busy = (rowsPerSecond: number): KnownPlan => {
    const expected = { name: 'a plan', rowsPerSecond, bubble: 0, lowerBound: 0, verified: true, stages: [], busy: 0.4 };
    const builds = { cpu: engineBuild('onnxruntime', 'cpu') };
    return { plan: { ...plan, builds, expected }, effort: 'measured', rows: 600, stale: null, doubts: 0, seen: null };
  };
  keepPlan(graph, request, busy(300));
  const { plan: chosen, trial } = await planJob(graph, request);
  assert.equal(trial, null);
  assert.equal(chosen.microBatch, 4);
  // At this pace the job takes long enough to measure its layers, now without other work.
  keepPlan(graph, request, busy(0.5));
  assert.equal((await planJob(graph, request)).plan.expected!.busy, undefined);
});

test('alternatives are tried one by one, the fastest is handed over loaded, and the others are closed', async () => {
  const plan = await makePlan(graph, ask({ stages: [{ device: 'cpu' }], microBatch: 2 }));
  const options = { graph, rows: rowsOfZeros(rowSpecs), ...SETTINGS };
  const first = await Trial.open({ ...options, plan });
  const makes: string[] = [];
  const alternative = (name: string, workers: number) => ({
    name,
    make: () => {
      makes.push(name);
      return makePlan(graph, ask({ stages: [{ device: 'cpu', threads: 1, workers }], microBatch: 2 }));
    },
  });
  const impossible = { name: 'impossible', make: () => Promise.reject(new Error('no such thing')) };
  const winner = await tryAlternatives(first, 'one', [alternative('two', 2), impossible], {
    ...options,
    most: () => 64,
    left: () => 100,
  });
  try {
    assert.deepEqual(makes, ['two']);
    assert.equal(winner.closed, false);
    assert.equal(first.closed, winner !== first);
    const { expected, microBatch } = winner.plan;
    assert.ok(expected!.verified && expected!.rowsPerSecond > 0 && microBatch >= 1 && microBatch <= 64);
    assert.deepEqual(
      expected!.others!.map(({ name }) => name),
      [winner === first ? 'two' : 'one', 'impossible'],
    );
    assert.match(expected!.others![1]!.why, /no such thing/);
  } finally {
    await winner.close();
  }
});

test('a plan that is only timed gets another micro-batch if there is time to find one and its size is open', async (t) => {
  const options = { graph, rows: rowsOfZeros(rowSpecs), ...SETTINGS };
  const trial = await Trial.open({ ...options, plan: await makePlan(graph, ask({ rows: 20_000, microBatch: 1 })) });
  t.after(() => trial.close());
  const sizeAfter = async (
    request: { microBatch?: number; rows: number },
    seconds: number,
    busy = 0,
    rowsPerSecond = 1e4,
  ) => {
    const pace = { rowsPerSecond, microBatch: 1 };
    await resize(trial, { ...request, graph }, { seconds, pace, from: 1, busy: () => busy });
    return trial.plan.microBatch;
  };
  assert.equal(await sizeAfter({ rows: 20_000 }, 0.1), 1, 'no time');
  assert.equal(await sizeAfter({ rows: 20_000, microBatch: 1 }, 5), 1, 'it was named');
  assert.equal(await sizeAfter({ rows: 8 }, 5), 1, 'a job of eight rows has eight micro-batches');
  assert.equal(await sizeAfter({ rows: 20_000 }, 5, 0.5), 1, 'other work on the machine');
  assert.equal(await sizeAfter({ rows: 20_000 }, 5, 0, 1), 1, 'one size would take longer than that');
  // Handing a row over takes many times as long as computing it.
  let found = 1;
  // Other work may hide the gain in one search, not in each of five.
  for (let n = 0; n < 5 && found === 1; n++) found = await sizeAfter({ rows: 20_000 }, 5);
  assert.ok(found > 1 && found <= 256, `${found}`);
});

test('if no time is left, no alternative is tried', async () => {
  const plan = await makePlan(graph, ask({ stages: [{ device: 'cpu' }], microBatch: 2 }));
  const options = { graph, rows: rowsOfZeros(rowSpecs), ...SETTINGS };
  const first = await Trial.open({ ...options, plan });
  const fail = () => assert.fail('it was tried');
  const winner = await tryAlternatives(first, 'one', [{ name: 'two', make: fail }], {
    ...options,
    most: null,
    left: () => 0,
  });
  assert.equal(winner, first);
  assert.equal(winner.plan.microBatch, 2);
  await winner.close();
});

test('a pipeline continues with micro-batches of another size', async () => {
  const plan = await makePlan(graph, ask({ microBatch: 2 }));
  const pipeline = await Pipeline.openWarm(graph, plan, rowSpecs, SETTINGS, { compute: false });
  const outputs = async (microBatch: number) => {
    await pipeline.adopt({ ...plan, microBatch });
    const feed = rowsOfZeros(rowSpecs).feed({ rows: 20, microBatch, depth: plan.depth });
    const rows: number[] = [];
    for await (const batch of pipeline.run(feed)) {
      rows.push(batch.rows);
      feed.taken();
    }
    return rows;
  };
  try {
    assert.deepEqual(await outputs(8), [8, 8, 4]);
    assert.deepEqual(await outputs(16), [16, 4]);
    assert.deepEqual(await outputs(1), new Array(20).fill(1));
  } finally {
    await pipeline.close();
  }
});
