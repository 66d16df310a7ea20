/** Schedules: golden grids, every generator against the rules, and the rules against schedules that break them. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Step } from '../../src/arena/route.js';
import { problemsOf } from '../../src/schedule/check.js';
import { drawSchedule } from '../../src/schedule/draw.js';
import { generateSchedule } from '../../src/schedule/generate.js';
import { decodeLoops, FORWARD, inBlocks, type Policy } from '../../src/schedule/policy.js';
import type { ComputeVisit, Schedule, ScheduleShape } from '../../src/schedule/schedule.js';
import { straight } from '../fixtures/route.js';

const goldens = resolve(import.meta.dirname, '../../../test/schedule/goldens');
const golden = (file: string) => readFileSync(resolve(goldens, file), 'utf8');

for (const file of readdirSync(goldens).filter((name) => name.startsWith('m'))) {
  test(`the schedule of ${file} is as drawn`, () => {
    const [, m, n] = /^m(\d+)-n(\d+)\.txt$/.exec(file)!.map(Number);
    const schedule = [...generateSchedule({ ...straight(n!), depth: m! }, m!)];
    assert.equal(`${drawSchedule(schedule)}\n`, golden(file));
  });
}

/** Stages of so many passes on pools of so many workers; the last stage keeps state. */
function shapeOf({ passes, workers, depth, replicas = 1, ...more }: ShapeOptions): ScheduleShape {
  const steps = passes.flatMap((count, stage) =>
    Array.from({ length: count }, (_, pass): Step => {
      const pools = Array.from({ length: replicas }, (_, n) => stage * replicas + n);
      return { stage, pass, pools, slice: `${stage}.${pass}`, keepsState: stage + 1 === passes.length };
    }),
  );
  return { steps, workers: passes.flatMap(() => new Array(replicas).fill(workers)), depth, ...more };
}

interface ShapeOptions {
  readonly passes: readonly number[];
  readonly workers: number;
  readonly depth: number;
  readonly replicas?: number;
  readonly rounds?: number;
  readonly holds?: number;
  readonly groupOf?: (microBatch: number) => number;
}

const passes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 });
const count = fc.integer({ min: 1, max: 3 });
const m = fc.integer({ min: 1, max: 12 });
const keepsRules = (shape: ScheduleShape, many: number, policy: Policy) =>
  assert.deepEqual(problemsOf([...generateSchedule(shape, many, policy)], shape, many), []);

test('forward: any stages, passes, replicas, workers and depth keep the rules', () => {
  fc.assert(
    fc.property(passes, count, count, fc.integer({ min: 1, max: 6 }), m, (own, workers, replicas, depth, many) => {
      keepsRules(shapeOf({ passes: own, workers, replicas, depth, groupOf: (i) => i % 5 }), many, FORWARD);
    }),
  );
});

test('rotation by blocks: if a worker holds one pass, each is loaded once for each block, and all rules are kept', () => {
  fc.assert(
    fc.property(passes, fc.integer({ min: 1, max: 4 }), m, (own, block, many) => {
      const shape = shapeOf({ passes: own, workers: 1, depth: 2 * block, holds: 1 });
      const policy = inBlocks(block, shape.steps.length);
      keepsRules(shape, many, policy);
      const loads = [...generateSchedule(shape, many, policy)].filter(({ kind }) => kind === 'load');
      // A stage of one pass holds it from the start.
      const rotating = own.filter((each) => each > 1).reduce((sum, each) => sum + each, 0);
      assert.equal(loads.length, rotating * Math.ceil(many / block));
    }),
  );
});

test('decode loops: slots return to the first stage, groups to their worker, and all rules are kept', () => {
  fc.assert(
    fc.property(passes, count, fc.integer({ min: 1, max: 5 }), count, m, (own, workers, depth, rounds, many) => {
      keepsRules(
        shapeOf({ passes: own, workers, depth, rounds, groupOf: (i) => i % depth }),
        many,
        decodeLoops(depth, rounds),
      );
    }),
  );
});

test('a policy that waits for more micro-batches than there are slots is refused', () => {
  const shape = shapeOf({ passes: [2], workers: 1, depth: 2, holds: 1 });
  assert.throws(() => [...generateSchedule(shape, 3, inBlocks(3, 2))], { code: 'TANDEM_PLAN_IMPOSSIBLE' });
});

test('rotation and decode loops are as drawn', () => {
  const rotating = shapeOf({ passes: [2, 1], workers: 1, depth: 4, holds: 1 });
  assert.equal(`${drawSchedule([...generateSchedule(rotating, 4, inBlocks(2, 3))])}\n`, golden('rotation.txt'));
  const looping = shapeOf({ passes: [1, 1], workers: 1, depth: 2, rounds: 3 });
  assert.equal(`${drawSchedule([...generateSchedule(looping, 4, decodeLoops(2, 3))])}\n`, golden('decode.txt'));
});

/** A schedule with unloaded passes, groups, several workers and several rounds. */
const RICH = shapeOf({ passes: [2, 1], workers: 2, depth: 4, rounds: 2, holds: 1, groupOf: (i) => i % 3 });
const RICH_M = 5;
const VIOLATIONS: Record<string, { readonly change: (schedule: Schedule) => Schedule; readonly message: RegExp }> = {
  'a visit that is left out': { change: (all) => without(all, firstCompute(all)), message: /instead of/ },
  'a visit that is made twice': {
    change: (all) => [...all, later(firstCompute(all), 1000)],
    message: /instead of/,
  },
  'a micro-batch that does not exist': {
    change: (all) => [...all, { ...later(firstCompute(all), 1000), microBatch: RICH_M }],
    message: /there is no micro-batch 5/,
  },
  'a visit that begins before the one before it has ended': {
    change: (all) => {
      const before = all.find((visit) => isOf(visit, 0) && visit.stage === 0 && visit.pass === 1)!;
      const next = all.find((visit) => isOf(visit, 0) && visit.stage === 1)!;
      return all.map((visit) => (visit === next ? { ...visit, from: before.from + 0.5 } : visit));
    },
    message: /is still being computed/,
  },
  'a worker with two visits at once': {
    change: (all) => {
      const [first, second] = all.filter(({ pool, worker }) => pool === 0 && worker === 0);
      return all.map((visit) => (visit === second ? { ...visit, from: first!.from, to: first!.to } : visit));
    },
    message: /previous visit has not ended/,
  },
  'a worker that does not exist': {
    change: (all) => all.map((visit) => (visit.worker === 1 ? { ...visit, worker: 2 } : visit)),
    message: /there is no such worker/,
  },
  'a pass that is computed and not loaded': {
    change: (all) => without(all, all.find(({ kind }) => kind === 'load')!),
    message: /is not loaded/,
  },
  'a pass that is not unloaded though the worker is full': {
    change: (all) => without(all, all.find(({ kind }) => kind === 'unload')!),
    message: /has room for 1/,
  },
  'a micro-batch that changes its slot': {
    change: (all) => all.map((visit) => (visit === firstCompute(all) ? { ...firstCompute(all), slot: 3 } : visit)),
    message: /is in slots/,
  },
  'two micro-batches in one slot': {
    change: (all) => all.map((visit) => (visit.kind === 'compute' && visit.slot === 1 ? { ...visit, slot: 0 } : visit)),
    message: /are in slot 0 at once/,
  },
  'a slot that does not exist': {
    change: (all) => all.map((visit) => (visit.kind === 'compute' && visit.slot === 1 ? { ...visit, slot: 9 } : visit)),
    message: /is in slot 9 of 4/,
  },
  'more in flight than the depth': {
    change: (all) =>
      all.map((visit) =>
        isOf(visit, 4) && visit.pass === 0 && visit.stage === 0 ? { ...visit, from: 0, to: 1 } : visit,
      ),
    message: /others are in flight/,
  },
  'a visit by another pool': {
    change: (all) => all.map((visit) => (visit === firstCompute(all) ? { ...visit, pool: 1 } : visit)),
    message: /is for pool 0/,
  },
  'a group that meets another worker': {
    change: (all) => {
      const last = all.findLast((visit) => isOf(visit, 0) && visit.stage === 1)!;
      return all.map((visit) => (visit === last ? { ...last, worker: 1 - last.worker } : visit));
    },
    message: /has its state in another worker/,
  },
};

const isOf = (visit: Schedule[number], i: number): visit is ComputeVisit =>
  visit.kind === 'compute' && visit.microBatch === i;
const firstCompute = (all: Schedule) => all.find((visit) => visit.kind === 'compute') as ComputeVisit;
const without = (all: Schedule, gone: Schedule[number]) => all.filter((visit) => visit !== gone);
const later = <V extends Schedule[number]>(visit: V, by: number): V => ({
  ...visit,
  from: visit.from + by,
  to: visit.to + by,
});

for (const [what, { change, message }] of Object.entries(VIOLATIONS)) {
  test(`the rules forbid ${what}`, () => {
    const schedule = [...generateSchedule(RICH, RICH_M, inBlocks(2, 3, 2))];
    assert.deepEqual(problemsOf(schedule, RICH, RICH_M), []);
    assert.match(problemsOf(change(schedule), RICH, RICH_M).join('\n'), message);
  });
}
