/** Proportion: how much of a job's time may be spent on planning, so that planning never costs more than it can save. */
import type { Effort } from './known-plans.js';

/** The share of a job's time that its planning may take. A card may save most of the time, so trying it pays sooner. */
const SHARE = { cpu: 0.1, card: 0.4 };

export interface JobEstimate {
  /** Seconds of the whole job. */
  readonly seconds: number;
  /** Seconds to load one plan. */
  readonly loadSeconds: number;
  /** Whether there is a card that has not been tried. */
  readonly hasCard?: boolean;
  /** Seconds of a round at the smallest size that would be tried: every worker has a micro-batch. */
  readonly roundSeconds?: number;
}

/** Seconds that planning a job may take. */
export function mayTake({ seconds, hasCard = false }: JobEstimate): number {
  return (hasCard ? SHARE.card : SHARE.cpu) * seconds;
}

/** Seconds of work in one trial of a plan. */
export const TRIAL_SECONDS = 0.25;

/** Rounds that trying takes at least: of two sizes or plans with their preparations, and of the steady state. */
const TRIED_ROUNDS = 11;

/** The cost of measuring layers and trying several plans: seconds, and the number of times that a plan is loaded. */
const MEASURED = { seconds: 12, loads: 12 };

/** Seconds that planning with this effort takes, about. */
export function secondsFor(
  effort: Effort,
  { loadSeconds, roundSeconds = 0 }: Pick<JobEstimate, 'loadSeconds' | 'roundSeconds'>,
): number {
  if (effort === 'quick') return 0;
  if (effort === 'tried') return loadSeconds + Math.max(2 * TRIAL_SECONDS, TRIED_ROUNDS * roundSeconds);
  return MEASURED.seconds + MEASURED.loads * loadSeconds;
}

/** The highest effort that pays. */
export function effortFor(job: JobEstimate): Effort {
  const most = mayTake(job);
  if (secondsFor('measured', job) <= most) return 'measured';
  return secondsFor('tried', job) <= most ? 'tried' : 'quick';
}
