/** Shares plans between a bench and the planner, so that they agree: the bench compares the known plan, and its best case becomes a known plan. */

import { BUSY } from '../machine/busy.js';
import type { ModelGraph } from '../model/graph.js';
import type { Plan } from '../plan/plan.js';
import { buildsOf, isSound, type KnownRequest, keepPlan, knownPlans } from '../planner/known-plans.js';
import type { Layout } from './layouts.js';
import type { CaseResult } from './result.js';

/** The split that `tandem run` would take, with its measured cut, if one is known. A plan of one stage is among the other layouts already. */
export function plannedLayouts(graph: ModelGraph, request: KnownRequest): Layout[] {
  const known = knownPlans(graph, request).findLast((each) => isSound(each) && each.effort === 'measured');
  if (!known || known.plan.stages.length === 1) return [];
  const stages = known.plan.stages.map(({ ops: _, engine: __, ...stage }) => stage);
  return [{ name: `split, as planned: ${known.plan.expected!.name}`, kind: 'split', stages }];
}

/** The largest spread of rounds in a bench whose result is kept; a shorter, less exact bench only prints its result. */
const SURE = 0.05;

/** `tandem run` and `tandem plan` then take it too. Nothing is kept if the machine was busy or the bench was too short. */
export function keepRecommendation(
  graph: ModelGraph,
  request: KnownRequest,
  plan: Plan,
  best: CaseResult,
  busy: number | null,
): void {
  const { name, rowsPerSecond, bubble, spread: noise, microBatch, depth, stages } = best;
  if (best.kind === 'sequential' || best.spread > SURE || (busy ?? 0) >= BUSY) return;
  const expected = {
    name,
    rowsPerSecond,
    bubble: bubble.measured,
    lowerBound: 0,
    verified: true,
    noise,
    ...(busy === null ? {} : { busy }),
    stages: stages.map(({ seconds, peakRssBytes, utilisation }) => {
      return { seconds, bytes: peakRssBytes ?? 0, budget: null, utilisation };
    }),
  };
  const kept: Plan = { ...plan, microBatch, depth, cutBy: 'measured', expected, builds: buildsOf(plan) };
  keepPlan(graph, request, { plan: kept, effort: 'measured', rows: null, stale: null, doubts: 0, seen: null });
}
