/**
 * The results of a search so far, plain data that later commands add to: the plan, a measurement of every cut that could be better, and
 * interleaved measurements of the best (`contest`). Of twenty cuts the luckiest seems the best, so the single measurements only choose the
 * finalists, and the interleaved ones decide.
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
  /** Rows/s that a plan predicted for a run by the command line, and those of the run; the plan was tried again each time. */
  readonly runs: readonly { readonly promised: number; readonly ran: number }[];
  /** All legal cuts. */
  readonly cuts: readonly number[];
  /** Whether each cut must be measured, by first layer of the second stage, as far as that is known. */
  readonly judged: Judged;
  /** One measurement of each cut, by first layer of the second stage: rows/s as a share of the planned cut's, measured right before and after. */
  readonly looks: Record<number, number>;
  /** The same for each interleaved round of the finalists. */
  readonly contest: Record<number, number[]>;
}

/** The number of finalists, which may be slower than the planned cut by no more than this share. */
const FINALISTS = { most: 3, behind: 0.1 };

export function plannedCut({ plan }: Pick<Found, 'plan'>): number {
  return plan.stages[1]!.layers.from;
}

/** The cuts that are still to be measured. */
export function unmeasured(found: Pick<Found, 'plan' | 'cuts' | 'judged' | 'looks'>): number[] {
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

/** The finalists with fewer rounds than they should have. */
export function unfinishedFinalists(found: Pick<Found, 'looks' | 'contest'>, turns: number): number[] {
  return finalists(found).filter((cut) => (found.contest[cut]?.length ?? 0) < turns);
}

/** Whether all cuts are measured, and the finalists have all their rounds. */
export function isDone(found: Found, turns: number): boolean {
  return unmeasured(found).length === 0 && unfinishedFinalists(found, turns).length === 0;
}

/** The planned cut's rows/s as a share of the fastest finalist's. */
export interface Comparison {
  readonly fastest: number;
  readonly share: Estimate;
}

/** `null` if there are no finalists besides the planned cut. */
export function comparisonOf(found: Pick<Found, 'looks' | 'contest'>): Comparison | null {
  const comparisons = finalists(found).flatMap((cut): Comparison[] => {
    const shares = found.contest[cut];
    return shares ? [{ fastest: cut, share: estimate(shares.map((share) => 1 / share)) }] : [];
  });
  return comparisons.toSorted((a, b) => a.share.median - b.share.median)[0] ?? null;
}
