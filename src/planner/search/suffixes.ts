/** Suffixes: for each stage j and layer k, the best assignment of the layers from k on to the stages from j on, within a limit of seconds. */
import type { Allocation, PartitionOption, PartitionProblem } from './partition-problem.js';

/** An assignment of the layers from some k on to the stages from some j on. All numbers are of all its stages together. */
export interface Suffix extends Allocation {
  readonly slowest: number;
  readonly sum: number;
  readonly cores: number;
  readonly bytes: number;
  /** First layer of the next stage. */
  readonly next: number;
  readonly rest: Suffix | null;
}

/**
 * The goal by which suffixes are compared: the smallest weighted sum of cores and bytes. Ties go to the fewest cores if cores have no weight,
 * else to the fewest seconds.
 */
export interface Goal {
  readonly cores: number;
  readonly bytes: number;
}

export const FEWEST_CORES: Goal = { cores: 1, bytes: 0 };
export const FEWEST_BYTES: Goal = { cores: 0, bytes: 1 };

export function scoreOf(goal: Goal, { cores, bytes }: { readonly cores: number; readonly bytes: number }): number {
  return cores * goal.cores + bytes * goal.bytes;
}

/** For each stage the layers at which it may begin, ascending. */
export type CutPoints = readonly (readonly number[])[];

/** For each stage, by the layer at which it begins, the best suffix; absent if there is none. */
export type Suffixes = readonly (readonly (Suffix | undefined)[])[];

export function suffixesWithin(problem: PartitionProblem, limit: number, goal: Goal, cutPoints: CutPoints): Suffixes {
  const { layers, stages } = problem;
  const suffixes: (Suffix | undefined)[][] = [];
  for (let j = stages.length - 1; j >= 0; j--) {
    const after = suffixes[j + 1];
    const ends: readonly number[] = after ? cutPoints[j + 1]! : [layers];
    suffixes[j] = [];
    for (const k of j === 0 ? [0] : cutPoints[j]!)
      suffixes[j]![k] = bestSuffixFrom(k, ends, stages[j]!, after, problem, limit, goal);
  }
  return suffixes;
}

function bestSuffixFrom(
  k: number,
  ends: readonly number[],
  options: readonly PartitionOption[],
  after: readonly (Suffix | undefined)[] | undefined,
  { cores, tally }: PartitionProblem,
  limit: number,
  goal: Goal,
): Suffix | undefined {
  let best: Suffix | undefined;
  for (const next of ends) {
    if (next <= k) continue;
    let tooMuch = true;
    for (let option = 0; option < options.length; option++) {
      const own = options[option]!;
      if (tally) tally.evaluated += 1;
      const seconds = own.seconds(k, next);
      const units = unitsWithin(seconds, limit);
      if (units > own.most) {
        tooMuch &&= own.work(k, next) > limit * own.most;
        continue;
      }
      tooMuch = false;
      const rest = after?.[next];
      if (after && !rest) continue;
      const all = own.cores * units + (rest?.cores ?? 0);
      if (all > cores && goal === FEWEST_CORES) continue;
      const sum = seconds / units + (rest?.sum ?? 0);
      if (best && goal === FEWEST_CORES && !isBefore(all, sum, best.cores, best.sum)) continue;
      if (!own.fits(k, next, units)) continue;
      const bytes = own.sharedBytes(k, next, units) + (rest?.bytes ?? 0);
      const slowest = Math.max(seconds / units, rest?.slowest ?? 0);
      const suffix = { slowest, sum, cores: all, bytes, option, units, next, rest: rest ?? null };
      if (!best || isBetter(suffix, best, goal)) best = suffix;
    }
    // More layers never take less.
    if (tooMuch) break;
  }
  return best;
}

/** The fewest units, at least 1, whose share of the seconds is within the limit. */
export function unitsWithin(seconds: number, limit: number): number {
  if (seconds <= limit) return 1;
  const units = Math.ceil(seconds / limit);
  return seconds / units <= limit ? units : units + 1;
}

/** Compares by the first number, then by the second. */
function isBefore(a: number, then: number, b: number, other: number): boolean {
  return a < b || (a === b && then < other);
}

function isBetter(suffix: Suffix, best: Suffix, goal: Goal): boolean {
  const then = (each: Suffix) => (goal.cores === 0 ? each.cores : each.sum);
  return isBefore(scoreOf(goal, suffix), then(suffix), scoreOf(goal, best), then(best));
}
