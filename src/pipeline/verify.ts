/** Verification: the likeliest plans are tried on the loaded pipeline, and their cuts shifted while it helps. */
import { mebibytes, noFit } from '../plan/budget.js';
import { type Candidate, candidateOf, type Scales } from '../plan/candidate.js';
import type { Form } from '../plan/form.js';
import type { Need } from '../plan/need.js';
import type { Plan, Rival } from '../plan/plan.js';
import type { Search } from '../plan/staffing.js';
import type { TensorSpec } from '../tensor.js';
import { type Trial, tryPlan } from './trial.js';

export interface TrialSettings {
  readonly rowSpecs: readonly TensorSpec[];
  readonly allowFallback: boolean;
  /** Milliseconds. */
  readonly deadline: number;
  readonly onProgress?: (text: string) => void;
}

/** Plans that come so near to the best, by the profile, are tried; at most so many. */
const LIKELY = { share: 0.85, most: 3 };

/** Times that the cut is shifted after a trial, and the share that it must gain. */
const SHIFTS = { most: 2, gain: 0.02 };

interface Tried {
  readonly plan: Plan;
  readonly name: string;
}

/** Tries the likely ones and takes the fastest; `absent` are devices that could not even be measured. Errors as of `tryPlan`. */
export async function fastestOf(
  search: Search,
  candidates: readonly Candidate[],
  absent: readonly Rival[],
  request: TrialSettings,
): Promise<Plan> {
  const feasible = candidates
    .flatMap(({ form, plan }) => (plan ? [{ form, plan }] : []))
    .sort((a, b) => b.plan.expected!.rowsPerSecond - a.plan.expected!.rowsPerSecond);
  const fastest = feasible[0]!.plan.expected!.rowsPerSecond;
  const likely = feasible
    .filter(({ plan }) => plan.expected!.rowsPerSecond >= LIKELY.share * fastest)
    .slice(0, LIKELY.most);
  const tried: Tried[] = [];
  for (const [n, { form, plan }] of likely.entries()) {
    request.onProgress?.(`trying ${n + 1} of ${likely.length}: ${form.name}`);
    tried.push({ plan: await shifted(search, form, plan, request), name: form.name });
  }
  const rate = ({ plan }: { plan: Plan }) => plan.expected!.rowsPerSecond;
  tried.sort((a, b) => rate(b) - rate(a) || a.plan.stages.length - b.plan.stages.length);
  const [winner, ...losers] = tried;
  const others: Rival[] = [
    ...losers.map((loser) => ({ name: loser.name, rowsPerSecond: rate(loser), why: 'slower when tried' })),
    ...feasible
      .filter(({ plan }) => !likely.some((each) => each.plan === plan))
      .map(({ form, plan }) => ({
        name: form.name,
        rowsPerSecond: rate({ plan }),
        why: 'slower by what was measured',
      })),
    ...candidates
      .filter(({ plan }) => !plan)
      .map(({ form, need }) => ({
        name: form.name,
        rowsPerSecond: null,
        why: `does not fit: ${need.stage === null ? 'it' : `stage ${need.stage}`} needs ${mebibytes(need.bytes)}`,
      })),
    ...absent,
  ];
  return { ...winner!.plan, expected: { ...winner!.plan.expected!, others } };
}

/** Tries a plan, and moves its cut for as long as the loaded stages say that it helps. */
async function shifted(search: Search, form: Form, first: Plan, request: TrialSettings): Promise<Plan> {
  let { plan, scales } = await tried(search, form, first, {}, request);
  for (let shift = 0; shift < SHIFTS.most && plan.stages.length > 1; shift++) {
    const next = candidateOf(search, form, scales).plan;
    if (!next || sameCut(next, plan)) break;
    if (next.expected!.rowsPerSecond < plan.expected!.rowsPerSecond * (1 + SHIFTS.gain)) break;
    const again = await tried(search, form, next, scales, request);
    if (again.plan.expected!.rowsPerSecond <= plan.expected!.rowsPerSecond) break;
    ({ plan, scales } = again);
  }
  return plan;
}

/** A plan with what its trial has shown, and how far that is from the profile; planned again, once, where a process went over its budget. */
async function tried(
  search: Search,
  form: Form,
  plan: Plan,
  before: Scales,
  request: TrialSettings,
): Promise<{ plan: Plan; scales: Scales }> {
  const { graph } = search;
  const settings = { allowFallback: request.allowFallback, deadline: request.deadline, holdBudgets: false };
  const trial = await tryPlan(graph, plan, request.rowSpecs, settings);
  const scales: Scales = {
    seconds: plan.stages.map(
      (_, j) => times(before.seconds, j) * ratio(trial.stageSeconds[j]!, plan.expected!.stages[j]!.seconds),
    ),
    bytes: plan.stages.map(
      (_, j) => times(before.bytes, j) * Math.max(1, ratio(trial.peakBytes[j] ?? 0, plan.expected!.stages[j]!.bytes)),
    ),
  };
  const over = overBudget(plan, trial);
  if (!over) return { plan: verified(plan, trial), scales };
  const next = before.bytes ? null : candidateOf(search, form, { bytes: scales.bytes }).plan;
  if (!next) throw noFit(`a plan of ${form.name}`, over);
  return tried(search, form, next, { bytes: scales.bytes }, request);
}

function times(scales: readonly number[] | undefined, j: number): number {
  return scales?.[j] ?? 1;
}

function ratio(seen: number, expected: number): number {
  return expected > 0 && seen > 0 ? seen / expected : 1;
}

function overBudget({ stages }: Plan, { peakBytes }: Trial): Need | null {
  for (const [stage, { memory }] of stages.entries()) {
    const bytes = peakBytes[stage];
    if (memory !== undefined && bytes != null && bytes > memory) return { stage, bytes, given: memory };
  }
  return null;
}

function verified(plan: Plan, { rowsPerSecond, stageSeconds, peakBytes }: Trial): Plan {
  const { expected, stages, microBatch } = plan;
  const utilisation = stages.map(({ workers }, j) =>
    Math.min(1, (stageSeconds[j]! / workers / microBatch) * rowsPerSecond),
  );
  return {
    ...plan,
    expected: {
      ...expected!,
      rowsPerSecond,
      bubble: 1 - utilisation.reduce((sum, share) => sum + share, 0) / stages.length,
      verified: true,
      stages: expected!.stages.map((stage, j) => ({
        ...stage,
        seconds: stageSeconds[j]!,
        bytes: Math.max(stage.bytes, peakBytes[j] ?? 0),
        utilisation: utilisation[j]!,
      })),
    },
  };
}

function sameCut(a: Plan, b: Plan): boolean {
  const shape = ({ stages }: Plan) =>
    stages.map(({ layers, workers, threads }) => [layers.from, workers, threads]).join(' ');
  return shape(a) === shape(b);
}
