/** Shifting the cut: a plan is rehearsed, and its cut moved for as long as the loaded stages say that it helps. */
import { noFit } from '../plan/budget.js';
import { candidateOf, type Scales } from '../plan/candidate.js';
import type { Form } from '../plan/form.js';
import type { Need } from '../plan/need.js';
import type { Plan } from '../plan/plan.js';
import type { Search } from '../plan/staffing.js';
import { sum } from '../plan/sums.js';
import type { TensorSpec } from '../tensor.js';
import { Rehearsal, type Seen } from './rehearsal.js';

export interface TrialSettings {
  readonly rowSpecs: readonly TensorSpec[];
  readonly allowFallback: boolean;
  /** Milliseconds. */
  readonly deadline: number;
  readonly onProgress?: (text: string) => void;
}

export interface Tried {
  readonly form: Form;
  /** With what its rehearsal has shown. */
  readonly plan: Plan;
  /** Seconds of a micro-batch in each stage, as the profile has it. */
  readonly profiled: readonly number[];
  readonly scales: Required<Scales>;
  /** Still loaded, unless it had to make room. */
  readonly rehearsal: Rehearsal;
}

/** Times that the cut is shifted after a rehearsal, and the share that it must gain. */
const SHIFTS = { most: 2, gain: 0.02 };

/**
 * Seconds of work that a rehearsal watches, again and again until it gets no faster by this share; looks at most. Where a micro-batch takes longer
 * than `longest` seconds, what engines compile in their first runs is little beside it.
 */
const WATCHED = { seconds: 0.6, gain: 0.05, looks: 5, longest: 0.1 };

/**
 * The cut is not shifted where that would still not reach `toBeat` rows a second. Cuts are compared by how the stages of one rehearsal compare with the profile, and not by the rows a second of two, between which the
 * machine may have changed its speed. Errors as of `Rehearsal.open`, and TANDEM_PLAN_IMPOSSIBLE.
 */
export async function shiftCut(
  search: Search,
  form: Form,
  first: Plan,
  toBeat: number,
  request: TrialSettings,
): Promise<Tried> {
  let best = await tryOut(search, form, first, {}, request);
  for (let shift = 0; shift < SHIFTS.most && first.stages.length > 1; shift++) {
    const next = candidateOf(search, form, best.scales).plan;
    if (!next || sameCut(next, best.plan)) break;
    if (next.expected!.rowsPerSecond < Math.max(toBeat, paceOf(best, best.scales) * (1 + SHIFTS.gain))) break;
    await best.rehearsal.close();
    const again = await tryOut(search, form, next, best.scales, request);
    const seconds = best.scales.seconds.map((scale, j) => Math.sqrt(scale * again.scales.seconds[j]!));
    const scales = { ...again.scales, seconds };
    if (paceOf(again, scales) <= paceOf(best, scales)) {
      await again.rehearsal.close();
      break;
    }
    best = { ...again, scales };
  }
  return best;
}

/** Rows a second if the stages took so many times as long as the profile says. */
function paceOf({ plan, profiled }: Tried, { seconds }: Scales): number {
  return (
    plan.microBatch / Math.max(...plan.stages.map(({ workers }, j) => (profiled[j]! * times(seconds, j)) / workers))
  );
}

/** Planned again, once, where a process went over its budget. */
async function tryOut(search: Search, form: Form, plan: Plan, before: Scales, request: TrialSettings): Promise<Tried> {
  const settings = { allowFallback: request.allowFallback, deadline: request.deadline, holdBudgets: false };
  const rehearsal = await Rehearsal.open(search.graph, plan, request.rowSpecs, settings);
  let over: Need | null;
  let bytes: readonly number[];
  try {
    const seen = await watchSteady(rehearsal);
    const { stages } = plan.expected!;
    const profiled = stages.map(({ seconds }, j) => seconds / times(before.seconds, j));
    const seconds = profiled.map((own, j) => ratio(seen.stageSeconds[j]!, own));
    bytes = stages.map((stage, j) => times(before.bytes, j) * Math.max(1, ratio(seen.peakBytes[j] ?? 0, stage.bytes)));
    over = overBudget(plan, seen);
    if (!over) return { form, plan: verified(plan, seen), profiled, scales: { seconds, bytes }, rehearsal };
  } catch (error) {
    await rehearsal.close();
    throw error;
  }
  await rehearsal.close();
  const next = before.bytes ? null : candidateOf(search, form, { bytes }).plan;
  if (!next) throw noFit(`a plan of ${form.name}`, over);
  return tryOut(search, form, next, { bytes }, request);
}

async function watchSteady(rehearsal: Rehearsal): Promise<Seen> {
  let seen = await rehearsal.watch(WATCHED.seconds);
  if (rehearsal.plan.microBatch / seen.rowsPerSecond > WATCHED.longest) return seen;
  for (let looks = 1; looks < WATCHED.looks; looks++) {
    const before = seen.rowsPerSecond;
    seen = await rehearsal.watch(WATCHED.seconds);
    if (seen.rowsPerSecond < before * (1 + WATCHED.gain)) break;
  }
  return seen;
}

function times(scales: readonly number[] | undefined, j: number): number {
  return scales?.[j] ?? 1;
}

function ratio(seen: number, expected: number): number {
  return expected > 0 && seen > 0 ? seen / expected : 1;
}

function overBudget({ stages }: Plan, { peakBytes }: Seen): Need | null {
  for (const [stage, { memory }] of stages.entries()) {
    const bytes = peakBytes[stage];
    if (memory !== undefined && bytes != null && bytes > memory) return { stage, bytes, given: memory };
  }
  return null;
}

/** The plan with what was seen of it. */
export function verified(plan: Plan, { rowsPerSecond, stageSeconds, peakBytes }: Seen): Plan {
  const { expected, stages, microBatch } = plan;
  const utilisation = stages.map(({ workers }, j) =>
    Math.min(1, (stageSeconds[j]! / workers / microBatch) * rowsPerSecond),
  );
  return {
    ...plan,
    expected: {
      ...expected!,
      rowsPerSecond,
      bubble: 1 - sum(utilisation) / stages.length,
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
