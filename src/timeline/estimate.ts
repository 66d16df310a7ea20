/** The time estimate of a job, from what was measured of its plan in a trial. */
import { replicaGroupsOf, sharesOf } from '../arena/replicas.js';
import type { Expectation, Plan } from '../plan/plan.js';
import { intervalOf, predict } from '../schedule/predict.js';
import { sum } from '../sums.js';

export interface TimeEstimate {
  /** From the first row read to the last row written. */
  readonly seconds: number;
  readonly rowsPerSecond: number;
  /** The fraction of the stages' time in which they wait, including filling and emptying the pipeline. */
  readonly bubble: number;
}

/** A run of a plan from its first micro-batch to its last, including filling and emptying. */
export interface Whole {
  readonly microBatches: number;
  readonly seconds: number;
}

/** Micro-batches. In longer jobs filling and emptying cost no more. */
const LONG = 1024;

/**
 * For a job of `rows` rows: its time in the steady state, plus filling and emptying the pipeline, plus the extra time of the first
 * micro-batches. `null` for a plan that was never measured.
 */
export function timeEstimateOf(plan: Plan, rows: number): TimeEstimate | null {
  const { expected, microBatch, lengths } = plan;
  if (!expected || rows <= 0 || expected.rowsPerSecond <= 0) return null;
  const steady = rows / expected.rowsPerSecond;
  const microBatches = Math.ceil(rows / (lengths?.meanRows ?? microBatch));
  const seconds = steady + fillSeconds(plan, expected, microBatches) + startSeconds(expected, microBatches);
  return { seconds, rowsPerSecond: rows / seconds, bubble: 1 - (1 - expected.bubble) * Math.min(1, steady / seconds) };
}

/** Seconds that a run of `microBatches` takes longer than in the steady state. */
function fillSeconds({ stages, depth }: Plan, { stages: seen }: Expectation, microBatches: number): number {
  const times = stages.map(({ workers }, j) => ({ seconds: seen[j]!.seconds, workers }));
  const interval = intervalOf(times, sharesOf(stages));
  const m = Math.min(microBatches, LONG);
  return Math.max(0, predict(times, m, depth, replicaGroupsOf(stages)).seconds - m * interval);
}

/** A job that ends before the pipeline is warm has only part of the extra time. */
function startSeconds({ start }: Expectation, microBatches: number): number {
  return start ? start.seconds * Math.min(1, microBatches / Math.max(1, start.microBatches)) : 0;
}

/** The plan with the extra time of its first runs, compared with the estimate of a warm pipeline. */
export function withStart(plan: Plan, first: readonly Whole[]): Plan {
  const { start: _, ...expected } = plan.expected!;
  const warm: Plan = { ...plan, expected };
  const surplus = first.map(
    ({ microBatches, seconds }) => seconds - timeEstimateOf(warm, microBatches * plan.microBatch)!.seconds,
  );
  const microBatches = sum(first.map((each) => each.microBatches));
  return { ...plan, expected: { ...expected, start: { seconds: Math.max(0, sum(surplus)), microBatches } } };
}
