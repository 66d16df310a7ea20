/** Measures every case in interleaved rounds for as long as the time allows; the first case twice in each round. */

import type { Trial } from '../planner/trial/trial.js';
import type { Workload } from '../planner/trial/workload.js';
import type { MeasuredCase } from './case-result.js';
import type { OpenLayout } from './open-layouts.js';
import type { CaseResult, SweepPoint } from './result.js';
import { type Sample, takeSample } from './sample.js';
import { bestOf } from './sweep.js';

const FEWEST_ROUNDS = 3;
/** Many short rounds give narrower bounds than a few long ones if the machine's speed changes. */
const AIMED_ROUNDS = 9;
const MOST_ROUNDS = 25;
/** Micro-batches of a measured run, so that filling and emptying matter little: the target, and the least for a slow model. */
const ENOUGH_BATCHES = 32;
const FEWEST_BATCHES = 8;
/** Target seconds of a measured run. */
const LONG_RUN = 0.5;

/** A case before it is run. */
export interface OpenCase extends MeasuredCase {
  readonly samples: Sample[];
  /** Rows a second in the sweep. */
  readonly rate: number;
}

/** The cases: every layout at its best, splits also sequentially, and the first case once more. */
export function casesOf(
  open: readonly OpenLayout[],
  { sizes, depths, seconds }: { sizes: readonly SweepPoint[]; depths: readonly SweepPoint[]; seconds: number },
): OpenCase[] {
  const cases: Omit<OpenCase, 'workload'>[] = [];
  const workloads: Omit<Workload, 'rows'>[] = [];
  const add = (name: string, kind: CaseResult['kind'], trial: Trial, point: SweepPoint) => {
    cases.push({ name, kind, trial, samples: [], rate: point.rowsPerSecond });
    workloads.push({ microBatch: point.microBatch, depth: point.depth });
  };
  for (const { layout, trial } of open) {
    const point = bestOf(sizes, layout.name);
    if (layout.kind === 'whole') {
      add(layout.name, 'whole', trial, point);
      // Several workers of one stage, used one at a time, are the model on one thread.
      if (trial.pipeline.plan.stages[0]!.workers > 1) {
        const alone = { ...point, depth: 1, rowsPerSecond: point.rowsPerSecond / 2 };
        add('whole model, 1 worker of 1 thread', 'whole', trial, alone);
      }
    } else {
      // At depth 1 it would be the sequential case again.
      const several = depths.filter((each) => each.layout === layout.name && each.depth > 1);
      const deepest = several.length > 0 ? bestOf(several, layout.name) : point;
      add(`${layout.name}, sequential`, 'sequential', trial, {
        ...deepest,
        depth: 1,
        rowsPerSecond: point.rowsPerSecond / 2,
      });
      add(`${layout.name}, pipelined`, 'pipelined', trial, deepest);
    }
  }
  cases.push({ ...cases[0]!, name: `${cases[0]!.name}, again`, kind: 'again', samples: [] });
  workloads.push(workloads[0]!);
  const rows = rowsFor(cases, workloads, seconds);
  return cases.map((each, c) => ({ ...each, workload: { ...workloads[c]!, rows } }));
}

/** Rows of a measured run: the same for all cases, whole micro-batches for each, and few enough for several rounds. */
function rowsFor(
  cases: readonly { readonly rate: number }[],
  workloads: readonly Omit<Workload, 'rows'>[],
  seconds: number,
): number {
  const step = workloads.reduce((common, { microBatch }) => leastCommon(common, microBatch), 1);
  const largest = Math.max(...workloads.map(({ microBatch }) => microBatch));
  const fastest = Math.max(...cases.map(({ rate }) => rate));
  const wanted = Math.max(ENOUGH_BATCHES * largest, LONG_RUN * fastest);
  const round = cases.reduce((sum, { rate }) => sum + 1 / rate, 0);
  const affordable = Math.max(FEWEST_BATCHES * largest, seconds / AIMED_ROUNDS / round);
  return Math.ceil(Math.min(wanted, affordable) / step) * step;
}

function leastCommon(a: number, b: number): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  return (a / divisor(a, b)) * b;
}

/**
 * Every case once, then every case again in the reverse order, until the time is over: a change of the machine's speed changes
 * all cases alike, and a steady drift cancels out.
 */
export async function rounds(
  cases: readonly OpenCase[],
  seconds: number,
  progress: (what: string) => void,
): Promise<void> {
  const startedAt = performance.now();
  for (const { trial, workload } of cases) await takeSample(trial, { ...workload, rows: workload.microBatch * 4 });
  let slowest = 0;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const began = performance.now();
    const left = seconds - (began - startedAt) / 1e3;
    if (round >= FEWEST_ROUNDS && slowest > left) return;
    progress(`measuring, round ${round + 1} …`);
    for (const each of round % 2 === 0 ? cases : cases.toReversed())
      each.samples.push(await takeSample(each.trial, each.workload));
    slowest = Math.max(slowest, (performance.now() - began) / 1e3);
  }
}
