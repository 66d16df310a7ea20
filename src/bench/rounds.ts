/** The comparison: every case as often as the time allows, the cases in turn, the first of them twice. */
import type { MeasuredCase } from './case-result.js';
import type { OpenLayout } from './open-layouts.js';
import type { CaseResult, SweepPoint } from './result.js';
import type { Course } from './row-bank.js';
import { bestOf } from './sweep.js';
import type { Sample, Trial } from './trial.js';

const FEWEST_ROUNDS = 3;
/** Many short rounds say more than a few long ones, on a machine that is not still. */
const AIMED_ROUNDS = 9;
const MOST_ROUNDS = 25;
/** Micro-batches of a measured run, so that filling and emptying do not decide it: the aim, and the least that a slow model gets. */
const ENOUGH_BATCHES = 32;
const FEWEST_BATCHES = 8;
/** Seconds that a measured run should take. */
const LONG_RUN = 0.5;

/** A case before it is run. */
export interface OpenCase extends MeasuredCase {
  readonly samples: Sample[];
  /** Rows a second, as the sweep found it. */
  readonly rate: number;
}

/** What is compared in the end: every layout at its best, splits also one stage at a time, and the first case once more. */
export function casesOf(
  open: readonly OpenLayout[],
  { sizes, depths, seconds }: { sizes: readonly SweepPoint[]; depths: readonly SweepPoint[]; seconds: number },
): OpenCase[] {
  const cases: Omit<OpenCase, 'course'>[] = [];
  const courses: Omit<Course, 'rows'>[] = [];
  const add = (name: string, kind: CaseResult['kind'], trial: Trial, point: SweepPoint) => {
    cases.push({ name, kind, trial, samples: [], rate: point.rowsPerSecond });
    courses.push({ microBatch: point.microBatch, depth: point.depth });
  };
  for (const { layout, trial } of open) {
    const point = bestOf(sizes, layout.name);
    if (layout.kind === 'whole') {
      add(layout.name, 'whole', trial, point);
      // One worker of several at a time is the model on one thread.
      if (trial.pipeline.plan.stages[0]!.workers > 1) {
        const alone = { ...point, depth: 1, rowsPerSecond: point.rowsPerSecond / 2 };
        add('whole model, 1 worker of 1 thread', 'whole', trial, alone);
      }
    } else {
      // At depth 1 it would be the case in turn once more.
      const several = depths.filter((each) => each.layout === layout.name && each.depth > 1);
      const deepest = several.length > 0 ? bestOf(several, layout.name) : point;
      add(`${layout.name}, in turn`, 'sequential', trial, {
        ...deepest,
        depth: 1,
        rowsPerSecond: point.rowsPerSecond / 2,
      });
      add(`${layout.name}, pipelined`, 'pipelined', trial, deepest);
    }
  }
  cases.push({ ...cases[0]!, name: `${cases[0]!.name}, again`, kind: 'again', samples: [] });
  courses.push(courses[0]!);
  const rows = rowsFor(cases, courses, seconds);
  return cases.map((each, c) => ({ ...each, course: { ...courses[c]!, rows } }));
}

/** Rows of a measured run: the same for all cases, whole micro-batches for each, and few enough for some rounds in the time. */
export function rowsFor(
  cases: readonly { readonly rate: number }[],
  courses: readonly Omit<Course, 'rows'>[],
  seconds: number,
): number {
  const step = courses.reduce((common, { microBatch }) => leastCommon(common, microBatch), 1);
  const largest = Math.max(...courses.map(({ microBatch }) => microBatch));
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
 * Every case once, then every case again in the other order, until the time is over: a machine that changes its speed changes
 * it for all, and what it loses or gains steadily falls out.
 */
export async function rounds(cases: readonly OpenCase[], seconds: number, say: (what: string) => void): Promise<void> {
  const startedAt = performance.now();
  for (const { trial, course } of cases) await trial.run({ ...course, rows: course.microBatch * 4 });
  let slowest = 0;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const began = performance.now();
    const left = seconds - (began - startedAt) / 1e3;
    if (round >= FEWEST_ROUNDS && slowest > left) return;
    say(`measuring, round ${round + 1} …`);
    for (const each of round % 2 === 0 ? cases : cases.toReversed())
      each.samples.push(await each.trial.run(each.course));
    slowest = Math.max(slowest, (performance.now() - began) / 1e3);
  }
}
