/** Prints a plan's schedule: which stage computes which micro-batch when, if all steps took the same time. */
import type { ModelGraph } from '../model/graph.js';
import { passesOf, policyOf, routeOf } from '../pipeline/route-of-plan.js';
import type { Plan } from '../plan/plan.js';
import { drawSchedule } from '../schedule/draw.js';
import { generateSchedule } from '../schedule/generate.js';
import type { Schedule } from '../schedule/schedule.js';
import { stageName } from './print-run.js';

/** Micro-batches that are shown at most. */
const SHOWN = 12;

/** Of the first micro-batches of a job; `rows` is `null` if their number is not known. */
export function scheduleOf(graph: ModelGraph, plan: Plan, rows: number | null): Schedule {
  const route = routeOf(plan, passesOf(graph, plan));
  return [...generateSchedule({ ...route, depth: plan.depth }, shownOf(plan, rows), policyOf(plan, route))];
}

export function formatSchedule(plan: Plan, schedule: Schedule, rows: number | null): string {
  const shown = shownOf(plan, rows);
  const all = rows === null ? null : Math.ceil(rows / plan.microBatch);
  const which = shown === all ? `all ${shown}` : `the first ${shown}${all === null ? '' : ` of ${all}`}`;
  const grid = drawSchedule(schedule, (pool) => `stage ${stageName(plan.stages, pool)}`);
  return `\nschedule of ${which} micro-batches, if all took one step in each stage; · waits\n${grid}\n`;
}

function shownOf({ microBatch }: Plan, rows: number | null): number {
  return rows === null ? SHOWN : Math.min(SHOWN, Math.ceil(rows / microBatch));
}
