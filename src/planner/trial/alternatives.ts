/** Alternatives: a few plans that need no measuring are tried besides the job's first plan, for as long as that pays. */
import { asTandemError } from '../../errors.js';
import { type CoreTicks, otherLoad } from '../../machine/busy.js';
import { readMachine } from '../../machine/machine.js';
import type { Alternative, Expectation, Plan } from '../../plan/plan.js';
import { sum } from '../../sums.js';
import { buildsOf } from '../known-plans.js';
import { TRIAL_SECONDS } from '../proportion.js';
import { bestSize } from './best-size.js';
import { Trial, type TrialOptions } from './trial.js';
import { verified } from './try-out.js';

/** An alternative plan, made only when it is tried. */
export interface AlternativePlan {
  readonly name: string;
  readonly make: () => Promise<Plan>;
}

export interface AlternativesOptions extends Omit<TrialOptions, 'plan'> {
  /** Rows of a micro-batch at most, for a plan; `null` if the size is fixed. */
  readonly most: ((plan: Plan) => number) | null;
  /** Rows of the first size that is tried. */
  readonly from?: number | undefined;
  /** Seconds that are left. */
  readonly left: () => number;
  readonly readTicks: () => CoreTicks | null;
  readonly onProgress?: ((text: string) => void) | undefined;
}

interface TriedPlan {
  readonly name: string;
  readonly trial: Trial;
  /** Rows a second, at its best micro-batch so far. */
  readonly rate: number;
  readonly microBatch: number;
}

/** The share by which an alternative must be faster: of two that are alike, the first is loaded already. */
const GAIN = 0.03;

/** The share of free memory that the weights of two loaded plans may take together. */
const ROOM = 0.5;

/**
 * The fastest plan, loaded, with its measurements as the plan's expectation. All others are closed. An alternative that fails is left out; its
 * error becomes the reason.
 */
export async function tryAlternatives(
  first: Trial,
  name: string,
  alternatives: readonly AlternativePlan[],
  options: AlternativesOptions,
): Promise<Trial> {
  const { left, from, onProgress, readTicks } = options;
  const before = readTicks();
  onProgress?.('trying sizes of the micro-batch');
  let best: TriedPlan = { name, trial: first, ...(await sizeOf(first, options, left() / 2, from)) };
  const others: Alternative[] = [];
  for (const alternative of alternatives) {
    if (left() < first.loadSeconds + 2 * TRIAL_SECONDS || !fitsAlongside(first)) break;
    onProgress?.(`trying ${alternative.name}`);
    try {
      const tried = await tryAlternative(alternative, best, options);
      const [winner, loser] = tried.rate > best.rate * (1 + GAIN) ? [tried, best] : [best, tried];
      await loser.trial.close();
      others.push({ name: loser.name, rowsPerSecond: loser.rate, why: 'slower when tried' });
      best = winner;
    } catch (error) {
      others.push({ name: alternative.name, rowsPerSecond: null, why: asTandemError(error).message });
    }
  }
  try {
    if (best.trial !== first) best = { ...best, ...(await sizeOf(best.trial, options, left(), best.microBatch)) };
    const busy = otherLoad(before, readTicks());
    await best.trial.pipeline.adopt(await watched(best, others, busy, left()));
    return best.trial;
  } catch (error) {
    await best.trial.close();
    throw error;
  }
}

/** Tries an alternative at the best micro-batch so far. */
async function tryAlternative(
  { name, make }: AlternativePlan,
  best: TriedPlan,
  options: AlternativesOptions,
): Promise<TriedPlan> {
  const { graph, rows, allowFallback, deadlineMs, most } = options;
  const made = await make();
  const microBatch = most ? Math.min(best.microBatch, most(made)) : made.microBatch;
  const trial = await Trial.open({ graph, plan: { ...made, microBatch }, rows, allowFallback, deadlineMs });
  try {
    const workload = { microBatch, depth: made.depth };
    const first = await trial.pace(workload, TRIAL_SECONDS / 2);
    if (first < best.rate * 0.8) return { name, trial, rate: first, microBatch };
    return { name, trial, rate: Math.max(first, await trial.pace(workload, TRIAL_SECONDS)), microBatch };
  } catch (error) {
    await trial.close();
    throw error;
  }
}

async function sizeOf(trial: Trial, { most }: AlternativesOptions, seconds: number, from?: number) {
  const { microBatch, depth } = trial.plan;
  if (!most) return { microBatch, rate: await trial.pace({ microBatch, depth }, TRIAL_SECONDS) };
  return bestSize(trial, { most: most(trial.plan), from, seconds });
}

/** Whether another plan with as many weights as the loaded one fits into memory. */
function fitsAlongside({ pipeline }: Trial): boolean {
  const weights = sum(pipeline.loaded.map((loaded, j) => loaded.weightBytes * pipeline.plan.stages[j]!.workers));
  return 2 * weights < ROOM * readMachine().memory.free;
}

/** The plan with its expectation, measured once more as it will run. */
async function watched(
  { trial, name, rate, microBatch }: TriedPlan,
  others: readonly Alternative[],
  busy: number | null,
  left: number,
): Promise<Plan> {
  const { pipeline } = trial;
  const expected: Expectation = {
    name,
    rowsPerSecond: rate,
    bubble: 0,
    lowerBound: 0,
    verified: true,
    stages: pipeline.plan.stages.map(() => ({ seconds: 0, bytes: 0, budget: null, utilisation: 1 })),
  };
  const plan = { ...pipeline.plan, microBatch, expected, builds: buildsOf(pipeline.plan) };
  await pipeline.adopt(plan);
  const measured = verified(plan, await trial.watch(Math.max(TRIAL_SECONDS, Math.min(2 * TRIAL_SECONDS, left))));
  return { ...measured, expected: { ...measured.expected!, others, ...(busy === null ? {} : { busy }) } };
}
