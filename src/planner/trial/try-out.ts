/** Tries a plan out: loads it, measures it until the steady state, and holds it against its budgets. */
import { sharesOf } from '../../arena/replicas.js';
import { isCpu } from '../../engine/device.js';
import type { Requirement } from '../../plan/budget.js';
import { hasBudget, noFit } from '../../plan/budget.js';
import type { Plan } from '../../plan/plan.js';
import { sum } from '../../sums.js';
import type { TensorSpec } from '../../tensor.js';
import type { Whole } from '../../timeline/estimate.js';
import type { PlanRequest } from '../request.js';
import type { Search } from '../search/allocation.js';
import { candidateOf, type Scales } from '../search/candidate.js';
import type { Topology } from '../search/topology.js';
import { type Observation, Trial } from './trial.js';
import { rowsOfZeros } from './workload.js';

export interface TrialSettings extends Pick<PlanRequest, 'microBatch' | 'rows'> {
  readonly rowSpecs: readonly TensorSpec[];
  readonly allowFallback: boolean;
  /** Milliseconds. */
  readonly deadlineMs: number;
  readonly onProgress?: (text: string) => void;
}

export interface Tried {
  readonly topology: Topology;
  /** With the measurements of its trial. */
  readonly plan: Plan;
  readonly scales: Required<Scales>;
  /** The newest observation. */
  readonly observed: Observation;
  /** Its first runs, until it reached the steady state. */
  readonly firstRuns: readonly Whole[];
  /** Still loaded, unless it was closed to free memory. */
  readonly trial: Trial;
}

/**
 * A trial measures `seconds` of work again and again until it gains less than `gain`, at most `times` times. If a micro-batch takes longer
 * than `longest` seconds, it measures once: what engines compile in their first runs is little compared to that.
 */
const WATCHED = { seconds: 0.5, gain: 0.05, times: 5, longest: 0.1 };

/** Seconds of work before a process is checked against its budget: the memory of the language runtime keeps growing for a while. */
const GROWN = 1.5;

/**
 * Loads a plan that was made with the scales `before`, and measures it. If a process exceeds its budget, plans once more with the measured
 * bytes. Errors as of `Trial.open`, and TANDEM_PLAN_IMPOSSIBLE.
 */
export async function tryOut(
  search: Search,
  topology: Topology,
  plan: Plan,
  before: Scales,
  request: TrialSettings,
): Promise<Tried> {
  const { graph } = search;
  const { allowFallback, deadlineMs } = request;
  const rows = rowsOfZeros(request.rowSpecs);
  const trial = await Trial.open({ graph, plan, rows, allowFallback, deadlineMs, holdBudgets: false });
  let over: Requirement | null;
  let bytes: readonly number[];
  try {
    const { observed, firstRuns } = await watchSteadyState(trial);
    const { stages } = plan.expected!;
    // A block of a stage that rotates takes long, and has loaded everything once.
    const peakBytes = hasBudget(plan.stages) && !plan.block ? (await trial.watch(GROWN)).peakBytes : observed.peakBytes;
    const seconds = stages.map(
      (stage, j) => times(before.seconds, j) * ratio(observed.stageSeconds[j]!, stage.seconds),
    );
    bytes = stages.map((stage, j) => times(before.bytes, j) * Math.max(1, ratio(peakBytes[j] ?? 0, stage.bytes)));
    over = overBudget(plan, peakBytes, search.free('cpu'));
    if (!over)
      return {
        topology,
        plan: verified(plan, { ...observed, peakBytes }),
        scales: { seconds, bytes },
        observed,
        firstRuns,
        trial,
      };
  } catch (error) {
    await trial.close();
    throw error;
  }
  await trial.close();
  const next = before.bytes ? null : candidateOf(search, topology, { bytes }).plan;
  if (!next) throw noFit(`a plan of ${topology.name}`, over);
  return tryOut(search, topology, next, { bytes }, request);
}

async function watchSteadyState(trial: Trial): Promise<{ observed: Observation; firstRuns: Whole[] }> {
  let observed = await trial.watch(WATCHED.seconds);
  const firstRuns = [observed.whole];
  if (trial.plan.microBatch / observed.rowsPerSecond > WATCHED.longest) return { observed, firstRuns };
  for (let n = 1; n < WATCHED.times; n++) {
    const before = observed.rowsPerSecond;
    observed = await trial.watch(WATCHED.seconds);
    if (observed.rowsPerSecond < before * (1 + WATCHED.gain)) break;
    firstRuns.push(observed.whole);
  }
  return { observed, firstRuns };
}

function times(scales: readonly number[] | undefined, j: number): number {
  return scales?.[j] ?? 1;
}

function ratio(observed: number, expected: number): number {
  return expected > 0 && observed > 0 ? observed / expected : 1;
}

/** The budget that was exceeded, or `null`: each process has its own, and those without one share `room` bytes. */
export function overBudget({ stages }: Plan, peakBytes: Observation['peakBytes'], room: number): Requirement | null {
  let together = 0;
  for (const [stage, { memory, device }] of stages.entries()) {
    const bytes = peakBytes[stage] ?? 0;
    if (memory !== undefined && bytes > memory) return { stage, bytes, given: memory };
    if (memory === undefined && isCpu(device)) together += bytes;
  }
  return together > room ? { stage: null, bytes: together, given: null } : null;
}

/** The plan with its expectation replaced by what was observed. */
export function verified(plan: Plan, { rowsPerSecond, stageSeconds, peakBytes }: Omit<Observation, 'whole'>): Plan {
  const { expected, stages, microBatch } = plan;
  const shares = sharesOf(stages);
  const utilisation = stages.map(({ workers }, j) =>
    Math.min(1, ((shares[j]! * stageSeconds[j]!) / workers / microBatch) * rowsPerSecond),
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
