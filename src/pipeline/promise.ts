/** The promise: how long a job takes, by what was seen of its plan in a trial. */
import { sectionsOf, sharesOf } from '../arena/turns.js';
import type { Expectation, Plan } from '../plan/plan.js';
import { sum } from '../sums.js';
import { intervalOf, predict } from './schedule.js';

export interface Promised {
  /** From the first row read to the last row written. */
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** The share of the stages' time in which they wait, filling and emptying taken in. */
  readonly bubble: number;
}

/** A run of a plan from its first micro-batch to its last, filling and emptying taken in. */
export interface Whole {
  readonly microBatches: number;
  readonly seconds: number;
}

/** What filling and emptying cost is the same in all longer jobs. */
const LONG = 1024;

/**
 * For a job of so many rows: the steady pace, with what filling and emptying the pipeline adds, and what the first micro-batches take longer
 * than later ones. `null` for a plan that was never measured.
 */
export function promiseOf(plan: Plan, rows: number): Promised | null {
  const { expected, microBatch } = plan;
  if (!expected || rows <= 0 || expected.rowsPerSecond <= 0) return null;
  const steady = rows / expected.rowsPerSecond;
  const microBatches = Math.ceil(rows / microBatch);
  const seconds = steady + fillSeconds(plan, expected, microBatches) + startSeconds(expected, microBatches);
  return { seconds, rowsPerSecond: rows / seconds, bubble: 1 - (1 - expected.bubble) * Math.min(1, steady / seconds) };
}

/** By how much a run of these stages takes longer than so many micro-batches in the steady state. */
function fillSeconds({ stages, depth }: Plan, { stages: seen }: Expectation, microBatches: number): number {
  const times = stages.map(({ workers }, j) => ({ seconds: seen[j]!.seconds, workers }));
  const interval = intervalOf(times, sharesOf(stages));
  const m = Math.min(microBatches, LONG);
  return Math.max(0, predict(times, m, depth, sectionsOf(stages)).seconds - m * interval);
}

/** A job that ends before all is warm pays its part. */
function startSeconds({ start }: Expectation, microBatches: number): number {
  return start ? start.seconds * Math.min(1, microBatches / Math.max(1, start.microBatches)) : 0;
}

/** The plan with what it was seen to take longer in its first runs than its steady pace and filling say. */
export function withStart(plan: Plan, first: readonly Whole[]): Plan {
  const { start: _, ...expected } = plan.expected!;
  const warm: Plan = { ...plan, expected };
  const surplus = first.map(
    ({ microBatches, seconds }) => seconds - promiseOf(warm, microBatches * plan.microBatch)!.seconds,
  );
  const microBatches = sum(first.map((each) => each.microBatches));
  return { ...plan, expected: { ...expected, start: { seconds: Math.max(0, sum(surplus)), microBatches } } };
}
