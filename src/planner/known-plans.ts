/** Known plans: the plans of a model that were tried or run on this machine, kept between runs, and how far each can be trusted. */
import { engineBuild, engineOf, providerFor } from '../engine/choose.js';
import { isCpu } from '../engine/device.js';
import { BUSY } from '../machine/busy.js';
import { readMachine } from '../machine/machine.js';
import type { ModelGraph } from '../model/graph.js';
import { freeBudget } from '../plan/budget.js';
import type { Plan } from '../plan/plan.js';
import { largestMicroBatch } from './job-rows.js';
import { subjectOf } from './measure/profile.js';
import { readStored, store } from './measure/store.js';
import type { PlanRequest } from './request.js';

/** In ascending order: estimated; tried with a few alternatives; chosen from all plans by the layers' measured times. */
export const EFFORTS = ['quick', 'tried', 'measured'] as const;
export type Effort = (typeof EFFORTS)[number];

/** Plain data. */
export interface KnownPlan {
  readonly plan: Plan;
  readonly effort: Effort;
  /** Rows of the job that it was made for; `null` if unknown. */
  readonly rows: number | null;
  /** Why it must be made again; `null` while it is valid. */
  readonly stale: string | null;
  /** Set if it is stale only because a run was slower: it was measured on an idle machine, and until measuring pays again it may still be the best. */
  readonly wasSlower?: boolean;
  /** How often it was made again because runs were slower than it predicted. */
  readonly doubts: number;
  /** The best of all whole runs: seconds to load, and seconds per row in the steady state; `null` before the first run. */
  readonly seen: Pace | null;
}

export interface Pace {
  readonly loadSeconds: number;
  readonly secondsPerRow: number;
}

export type KnownRequest = PlanRequest & { readonly rowSpecs: NonNullable<PlanRequest['rowSpecs']> };

/** The plans that can still run here, stale ones too; the newest last. */
export function knownPlans(graph: ModelGraph, request: KnownRequest): KnownPlan[] {
  const known = readStored<{ known: KnownPlan[] }>('plans', keyOf(graph, request))?.known ?? [];
  const { free } = readMachine().memory;
  return known.filter((each) => canRun(each, free));
}

/** Plans that are kept for one request at most; the oldest are dropped. */
const MOST_KEPT = 8;

/** Stores a plan in place of the same one; a new valid plan also replaces stale ones. Returns `null`, or why nothing was stored. */
export function keepPlan(graph: ModelGraph, request: KnownRequest, known: KnownPlan): string | null {
  const isNew = known.stale === null && known.effort !== 'quick';
  const isReplaced = ({ plan, stale }: KnownPlan) => isSamePlan(plan, known.plan) || (isNew && stale !== null);
  const others = knownPlans(graph, request).filter((each) => !isReplaced(each));
  return store('plans', keyOf(graph, request), { known: [...others, known].slice(-MOST_KEPT) });
}

/** Whether both run the same; their expectations may differ. */
export function isSamePlan(a: Plan, b: Plan): boolean {
  const shape = ({ stages, microBatch, depth, isolation }: Plan) =>
    JSON.stringify([stages, microBatch, depth, isolation]);
  return shape(a) === shape(b);
}

/** Whether its times can be trusted: it is not stale, and was not measured while other work ran. */
export function isSound({ stale, plan: { expected } }: KnownPlan): boolean {
  return stale === null && (expected?.busy ?? 0) < BUSY;
}

/** Whether all its layers were measured, but while other work ran. */
export function wasBusy({ stale, effort, plan: { expected } }: KnownPlan): boolean {
  return stale === null && effort === 'measured' && (expected?.busy ?? 0) >= BUSY;
}

/** Whether the times of its runs can be compared with those of others, though it is to be made again. */
export function isOnlySlower({ wasSlower, seen }: KnownPlan): boolean {
  return wasSlower === true && seen !== null;
}

/** Whether its micro-batch suits a job of so many rows: there are enough micro-batches, and it is not small only because the earlier job was. */
export function suits({ plan, rows: madeFor }: KnownPlan, graph: ModelGraph, request: KnownRequest): boolean {
  if (request.microBatch !== undefined || graph.fixedBatch !== null) return true;
  const most = largestMicroBatch(request.rows, plan.stages);
  const mostThen = largestMicroBatch(madeFor, plan.stages);
  return plan.microBatch <= most && (plan.microBatch < mostThen || most <= mostThen);
}

/** The time estimate of a whole job in seconds: by the plan's runs, else by its expectation and `loadSeconds`; `null` if neither is known. */
export function estimateSeconds(
  { seen, plan: { expected } }: KnownPlan,
  rows: number,
  loadSeconds: number,
): number | null {
  if (seen) return seen.loadSeconds + rows * seen.secondsPerRow;
  return expected && expected.rowsPerSecond > 0 ? loadSeconds + rows / expected.rowsPerSecond : null;
}

/** Whether the plan can still run: the engine builds are the same, and the memory of the machine and of each card is still free. */
function canRun({ plan: { stages, expected, builds } }: KnownPlan, free: number): boolean {
  if (stages.some(({ engine, provider }) => builds?.[provider] !== engineBuild(engine, provider))) return false;
  const needed = new Map<string, number>();
  for (const [j, { device }] of stages.entries())
    needed.set(device, (needed.get(device) ?? 0) + (expected?.stages[j]?.bytes ?? 0));
  return [...needed].every(([device, bytes]) => bytes <= (isCpu(device) ? free : freeBudget(device)));
}

/** The engine builds that a plan would run with here. */
export function buildsOf({ stages }: Pick<Plan, 'stages'>): Record<string, string> {
  return Object.fromEntries(stages.map(({ engine, provider }) => [provider, engineBuild(engine, provider)]));
}

/** Everything that known plans depend on, except the rows of the job: a plan for many rows may suit few, and shows how fast the model is. */
function keyOf(graph: ModelGraph, { rowSpecs, stages, microBatch, depth, isolation }: KnownRequest): object {
  return {
    schema: 2,
    ...subjectOf(graph, rowSpecs),
    // A library that is linked later changes the provider, and so the key.
    engines: ['cpu', 'gpu'].map((device) => {
      const { id } = engineOf(graph, device);
      return [id, providerFor(id, device)];
    }),
    stages,
    microBatch,
    depth,
    isolation,
  };
}
