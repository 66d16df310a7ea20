/** What a search has found so far, plain data that later commands add to: the plan, and looks at other cuts beside it. */
import { median } from '../../src/plan/median.js';
import type { Plan } from '../../src/plan/plan.js';
import type { Judged } from './bound.js';

export interface Found {
  readonly model: string;
  /** How many times slower the second device is. */
  readonly slower: number;
  readonly plan: Plan;
  readonly coldSeconds: number;
  readonly cachedSeconds: number;
  /** Rows/s of a run by the command line, and what the plan promised for it. */
  readonly ran: number;
  readonly promised: number;
  /** Of the planned cut, each time that it was watched. */
  readonly own: number[];
  /** By first layer of the second stage: rows/s as shares of what the planned cut did around the same time. */
  readonly shares: Record<number, number[]>;
  /** All legal cuts. */
  readonly cuts: readonly number[];
  /** Whether they need be watched, by first layer of the second stage, as far as that was looked at. */
  readonly judged: Judged;
}

/** The best ones are looked at again, as often as is asked for. */
const FINALISTS = 3;

export function plannedCut({ plan }: Found): number {
  return plan.stages[1]!.layers.from;
}

/** Of the planned cut's pace. */
export function shareOf(found: Found, cut: number): number {
  return cut === plannedCut(found) ? 1 : median(found.shares[cut] ?? []);
}

export function bestCut(found: Found): number {
  return seen(found).reduce((a, b) => (shareOf(found, b) > shareOf(found, a) ? b : a), plannedCut(found));
}

/** The cuts still to be watched: all once, then the best ones again. */
export function cutsLeft(found: Found, repetitions: number): number[] {
  const left = others(found).filter((cut) => !found.shares[cut]);
  if (left.length > 0) return left;
  const finalists = others(found)
    .toSorted((a, b) => shareOf(found, b) - shareOf(found, a))
    .slice(0, FINALISTS);
  const looks = (cut: number) => found.shares[cut]!.length;
  return finalists.filter((cut) => looks(cut) < repetitions).toSorted((a, b) => looks(a) - looks(b));
}

function others(found: Found): number[] {
  return found.cuts.filter((cut) => cut !== plannedCut(found) && !found.judged[cut]);
}

function seen(found: Found): number[] {
  return others(found).filter((cut) => found.shares[cut]);
}
