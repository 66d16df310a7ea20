/**
 * What a search has found so far, plain data that later commands add to: the plan, a look at every cut that could be better, and a contest of those
 * that looked best. Of twenty cuts the luckiest looks best, so looks only choose who is in the contest, and the contest alone decides.
 */
import { type Estimate, estimate } from '../../src/bench/statistics.js';
import type { Plan } from '../../src/plan/plan.js';
import type { Judged } from './bound.js';

export interface Found {
  readonly model: string;
  /** How many times slower the second device is. */
  readonly slower: number;
  readonly plan: Plan;
  readonly coldSeconds: number;
  readonly cachedSeconds: number;
  /** Rows/s that a plan promised for a run by the command line, and those of the run; each time the plan was tried anew. */
  readonly runs: readonly { readonly promised: number; readonly ran: number }[];
  /** All legal cuts. */
  readonly cuts: readonly number[];
  /** Whether they need be looked at, by first layer of the second stage, as far as that is known. */
  readonly judged: Judged;
  /** Of one look each, by first layer of the second stage: rows/s as a share of what the planned cut did right before and after. */
  readonly looks: Record<number, number>;
  /** Likewise of each turn of the contest. */
  readonly contest: Record<number, number[]>;
}

/** So many that looked best are in the contest, of those that were behind the planned cut by no more than this share. */
const FINALISTS = { most: 3, behind: 0.1 };

export function plannedCut({ plan }: Pick<Found, 'plan'>): number {
  return plan.stages[1]!.layers.from;
}

/** The cuts that are still to be looked at. */
export function unseen(found: Pick<Found, 'plan' | 'cuts' | 'judged' | 'looks'>): number[] {
  const { cuts, judged, looks } = found;
  return cuts.filter((cut) => cut !== plannedCut(found) && !judged[cut] && looks[cut] === undefined);
}

export function finalists({ looks }: Pick<Found, 'looks'>): number[] {
  return Object.entries(looks)
    .filter(([, share]) => share >= 1 - FINALISTS.behind)
    .sort(([, a], [, b]) => b - a)
    .slice(0, FINALISTS.most)
    .map(([cut]) => Number(cut));
}

/** The finalists that have had fewer turns than they should. */
export function contestants(found: Pick<Found, 'looks' | 'contest'>, turns: number): number[] {
  return finalists(found).filter((cut) => (found.contest[cut]?.length ?? 0) < turns);
}

/** Whether all cuts have been looked at, and the best have had their turns. */
export function isDone(found: Found, turns: number): boolean {
  return unseen(found).length === 0 && contestants(found, turns).length === 0;
}

/** The planned cut's rows/s as a share of what the fastest finalist did. */
export interface Verdict {
  readonly fastest: number;
  readonly share: Estimate;
}

/** `null` where no cut but the planned one was in the contest. */
export function verdictOf(found: Pick<Found, 'looks' | 'contest'>): Verdict | null {
  const verdicts = finalists(found).flatMap((cut): Verdict[] => {
    const shares = found.contest[cut];
    return shares ? [{ fastest: cut, share: estimate(shares.map((share) => 1 / share)) }] : [];
  });
  return verdicts.toSorted((a, b) => a.share.median - b.share.median)[0] ?? null;
}
