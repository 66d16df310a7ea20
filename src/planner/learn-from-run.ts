/** Learns from a run: compares the stages' times with the plan, and keeps them for the next job. */

import { BUSY } from '../machine/busy.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import type { Span } from '../timeline/spans.js';
import { comparedWithRun, type RunObservation } from './compare-with-run.js';
import { buildsOf, type Effort, isSamePlan, keepPlan, knownPlans } from './known-plans.js';
import { median } from './measure/median.js';
import type { PlanRequest } from './request.js';

/** The request that the run was planned for, and the effort of the planning. */
export interface Planned extends PlanRequest {
  readonly effort: Effort;
  /** Where rows differ in length: the plan for typical rows, which the request is about, and how many of these a row is on average. */
  readonly typical?: { readonly plan: Plan; readonly perRow: number };
}

/** Call after the newest run of the pipeline. Returns why the plan will be made again; `null` if it agrees with the run, or nothing was measured. */
export function learnFromRun(
  pipeline: Pipeline,
  { effort, typical, ...request }: Planned,
  run: Pick<RunObservation, 'loadSeconds' | 'busy'>,
): string | null {
  const { rowSpecs } = request;
  const observed = observationOf(pipeline, run, typical?.perRow);
  if (!rowSpecs || !observed) return null;
  const { graph } = pipeline;
  const plan = typical?.plan ?? pipeline.plan;
  const known = { ...request, rowSpecs };
  const stored = knownPlans(graph, known).find((each) => isSamePlan(each.plan, plan));
  // The run was planned anew, because what is stored was measured beside other work: that says nothing about it.
  const isOutdated = stored && wasBeside(stored.plan) && !wasBeside(plan) && (run.busy ?? 0) < BUSY;
  const before = isOutdated ? undefined : stored;
  const rows = request.rows ?? null;
  const first = { plan: { ...plan, builds: buildsOf(plan) }, effort, rows, stale: null, doubts: 0, seen: null };
  const after = comparedWithRun(before ?? first, observed);
  keepPlan(graph, known, after);
  return before && before.stale !== null ? null : after.stale;
}

/** Whether the plan was measured while other work ran. */
function wasBeside({ expected }: Plan): boolean {
  return (expected?.busy ?? 0) >= BUSY;
}

/** The measurements of the newest run; `null` if nothing was computed. */
function observationOf(
  { timeline, plan }: Pipeline,
  run: Pick<RunObservation, 'loadSeconds' | 'busy'>,
  perRow = 1,
): RunObservation | null {
  const { seconds, spans } = timeline;
  const rows = timeline.rows * perRow;
  if (rows === 0 || seconds === 0) return null;
  // Micro-batches of rows that differ in length are none of the plan's own.
  const full = plan.lengths ? [] : spans.filter((span) => span.rows === plan.microBatch);
  const own = plan.stages.map(({ workers }, stage) => full.filter((span) => span.stage === stage).slice(workers));
  if (own.some((each) => each.length === 0))
    return { ...run, ...NOTHING_STEADY(plan.stages.length), secondsPerRow: seconds / rows, seconds };
  return {
    ...run,
    secondsPerRow: seconds / rows,
    seconds,
    microBatches: Math.min(...own.map((each) => each.length)),
    // A micro-batch of a stage that rotates goes through several passes, and a few wait for one to be loaded.
    stageSeconds: plan.block
      ? timeline.uses().map((use) => (use.busySeconds + use.loadingSeconds) / Math.max(1, use.microBatches))
      : own.map((each) => median(each.map(secondsOf))),
  };
}

/** For runs without steady-state micro-batches: engines prepare in each worker's first micro-batch, and a last one that is not full is quicker. */
const NOTHING_STEADY = (stages: number) => ({ microBatches: 0, stageSeconds: new Array<number>(stages).fill(0) });

function secondsOf({ acceptedAt, finishedAt }: Span): number {
  return (finishedAt - acceptedAt) / 1e6;
}
