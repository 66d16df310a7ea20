/** Exact partition: the contiguous cut of a sequence of layers, and the allocation of each stage, that minimise the time of the slowest stage. */

import { type CooperativeSteps, runToEnd } from './cooperative.js';
import { FeasiblePartitions, leastBytes } from './feasibility.js';
import type { Allocation, PartitionOption, PartitionProblem } from './partition-problem.js';
import type { CutPoints, Suffix } from './suffixes.js';

export interface Partition {
  /** First layer of each stage, ascending from 0. */
  readonly starts: readonly number[];
  readonly allocations: readonly Allocation[];
  /** Seconds of the slowest stage. */
  readonly slowest: number;
}

/** If the limit is within this share of the best known time, the next limit tried is right below that: a failure ends the search. */
const CLOSE = 0.01;

/** Times that differ by less than this share count as equal. */
const EQUAL = 1e-9;

/** Up to so many cut points are all tried. If there are more, so many of them are tried first, then those near the cuts that were found. */
const MOST_CUT_POINTS = 96;

/** With more cut points, the result is at least this share as fast as the fastest of all. */
export const GOOD_ENOUGH = 0.975;

export interface PartitionOptions {
  /** Accept only partitions whose slowest stage is faster than so many seconds. */
  readonly toBeat?: number;
  /** Try only some of many cut points and those near the cuts found there: almost always good enough, but without proof. */
  readonly quick?: boolean;
}

/** `cutPoints` on each side of a cut are tried to improve it, `times` at most while that helps. */
const NEARBY = { cutPoints: 12, times: 4 };

/**
 * The best partition as cooperative steps. `null` if no cut is legal and fits, or if none is faster than `toBeat` seconds. Exact up to
 * `MOST_CUT_POINTS` cut points, and within `GOOD_ENOUGH` of exact with more. Bisects the limit of seconds: within a limit every stage has as
 * few units as keep it, so one number, the cores of a suffix, decides which is best, and cores are no dimension of the search. O(stages ·
 * cutPoints² · options) for each limit, and about ten limits.
 */
export function* partitionSteps(
  problem: PartitionProblem,
  { toBeat = Number.POSITIVE_INFINITY, quick = false }: PartitionOptions = {},
): CooperativeSteps<Partition | null> {
  const all = cutPointsOf(problem);
  const search: Search = { feasible: new FeasiblePartitions(problem), bound: lowerBound(problem), all };
  let best = search.feasible.within(toBeat * (1 - Number.EPSILON), atAnyStage(problem, thinned(problem, all)));
  yield;
  if (best) best = yield* fastest(search, atAnyStage(problem, thinned(problem, all)), best);
  if (all.length <= MOST_CUT_POINTS) return best && unrolled(best);
  for (;;) {
    if (best) best = yield* refined(search, best);
    if (quick && (best || Number.isFinite(toBeat))) return best && unrolled(best);
    // One cut point may decide whether anything fits at all, so all are tried.
    const limit = (best?.slowest ?? toBeat) * GOOD_ENOUGH;
    const better: Suffix | null = limit < search.bound ? null : search.feasible.within(limit, atAnyStage(problem, all));
    yield;
    if (!better) return best && unrolled(best);
    best = better;
  }
}

/** What is the same for all limits that are tried. */
interface Search {
  readonly feasible: FeasiblePartitions;
  /** Seconds; no partition is faster. */
  readonly bound: number;
  /** All cut points, ascending. */
  readonly all: readonly number[];
}

/** Improves a partition by moving its cuts a little, for as long as that helps. */
function* refined(search: Search, known: Suffix): CooperativeSteps<Suffix> {
  let best = known;
  for (let n = 0; n < NEARBY.times; n++) {
    const better = yield* fastest(search, near(best, search.all), best);
    if (better === best) break;
    best = better;
  }
  return best;
}

/** `partitionSteps`, run to the end. */
export function partition(problem: PartitionProblem): Partition | null {
  return runToEnd(partitionSteps(problem));
}

function cutPointsOf({ layers, legal }: PartitionProblem): number[] {
  return Array.from({ length: layers }, (_, k) => k).filter((k) => k > 0 && legal(k));
}

function atAnyStage({ stages }: PartitionProblem, cutPoints: readonly number[]): CutPoints {
  return stages.map(() => cutPoints);
}

/** The cut points that split the work most evenly, if there are too many. */
function thinned({ layers, stages }: PartitionProblem, all: readonly number[]): readonly number[] {
  if (all.length <= MOST_CUT_POINTS) return all;
  const option = stages.flat().find(({ seconds }) => seconds(0, layers) > 0);
  const before = (k: number) => (option ? option.seconds(0, k) : k);
  const part = before(layers) / MOST_CUT_POINTS;
  let next = part;
  return all.filter((k) => {
    if (before(k) < next) return false;
    next = before(k) + part;
    return true;
  });
}

function near(best: Suffix, all: readonly number[]): CutPoints {
  return unrolled(best).starts.map((start) => {
    const cutPoint = all.indexOf(start);
    return all.slice(Math.max(0, cutPoint - NEARBY.cutPoints), cutPoint + NEARBY.cutPoints + 1);
  });
}

/** The fastest partition with these cut points, or the known one. */
function* fastest({ feasible, bound }: Search, cutPoints: CutPoints, known: Suffix): CooperativeSteps<Suffix> {
  let best = known;
  let tooFast = bound * (1 - EQUAL);
  let step = tooFast * CLOSE;
  let triedBelow = false;
  while (best.slowest - tooFast > best.slowest * EQUAL) {
    const below: boolean = !triedBelow && best.slowest - tooFast < best.slowest * CLOSE;
    const middle = (tooFast + best.slowest) / 2;
    // Most often the best is little above the bound, so small steps up from it come first.
    const above = step > 0 ? Math.min(tooFast + step, middle) : middle;
    const limit: number = below ? best.slowest * (1 - Number.EPSILON) : above;
    const found = feasible.within(limit, cutPoints);
    yield;
    if (!found && below) break;
    triedBelow = below;
    if (found) best = found;
    else tooFast = limit;
    step = found ? 0 : step * 2;
  }
  return best;
}

/** The fewest bytes of shared memory that the stages need together; infinite if no cut is legal and fits. */
export function leastRoom(problem: PartitionProblem): number {
  return leastBytes(problem, atAnyStage(problem, cutPointsOf(problem)));
}

function unrolled(first: Suffix): Partition {
  const suffixes: Suffix[] = [];
  for (let suffix: Suffix | null = first; suffix; suffix = suffix.rest) suffixes.push(suffix);
  return {
    starts: [0, ...suffixes.slice(0, -1).map(({ next }) => next)],
    allocations: suffixes.map(({ option, units }) => ({ option, units })),
    slowest: first.slowest,
  };
}

/**
 * Seconds that no cut of these layers can beat, whatever the allocation. The largest of three bounds: the work split freely among the stages,
 * each at its fastest; all work at its fewest core-seconds, on all cores; the largest range without a cut point, where it is fastest.
 */
export function lowerBound({ layers, stages, legal, cores }: PartitionProblem): number {
  const least = (from: number, to: number, of: (option: PartitionOption) => number) =>
    stages.map((options) => Math.min(...options.map((option) => option.work(from, to) * of(option))));
  const fastest = (from: number, to: number) => least(from, to, ({ most }) => 1 / most);
  const rate = fastest(0, layers).reduce((sum, seconds) => sum + 1 / seconds, 0);
  const starts = Array.from({ length: layers }, (_, k) => k).filter((k) => k === 0 || legal(k));
  const parts = starts.map((from, n) => [from, starts[n + 1] ?? layers] as const);
  const coreSeconds = parts.map(([from, to]) => Math.min(...least(from, to, (option) => option.cores)));
  const largest = Math.max(...parts.map(([from, to]) => Math.min(...fastest(from, to))));
  return Math.max(1 / rate, cores > 0 ? coreSeconds.reduce((sum, each) => sum + each, 0) / cores : 0, largest);
}
