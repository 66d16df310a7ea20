/** Exact partition: the contiguous cut of a row of layers, and the staffing of each stage, whose slowest stage is as fast as can be. */

/** One way to staff a stage. */
export interface Staffable {
  /** Cores that it keeps busy, taken from those that all stages share. */
  readonly cores: number;
  /** Seconds between two micro-batches that leave the stage when it holds layers [from, to). */
  seconds(from: number, to: number): number;
  /** As `seconds`, for the computing alone: parts add up to the whole. */
  work(from: number, to: number): number;
  /** Whether layers [from, to) fit into what it alone may hold. */
  fits(from: number, to: number): boolean;
  /** Bytes of the memory that stages share. */
  takes(from: number, to: number): number;
}

export interface PartitionProblem {
  readonly layers: number;
  /** For each stage, in order, the ways to staff it. */
  readonly stages: readonly (readonly Staffable[])[];
  readonly cores: number;
  /** Whether a stage may begin at layer k. */
  readonly legal: (k: number) => boolean;
  /** Bytes that all stages together may take. */
  readonly room: number;
}

export interface Partition {
  /** First layer of each stage, ascending from 0. */
  readonly starts: readonly number[];
  /** For each stage, which of its ways was taken. */
  readonly staffing: readonly number[];
  /** Seconds of the slowest stage. */
  readonly slowest: number;
}

/** A best end of the pipeline: how layers from some k on are given to the stages from some j on. What it is best in, seconds or bytes. */
interface Tail {
  readonly slowest: number;
  /** Of all its stages. Where the one is equal the other decides. */
  readonly sum: number;
  readonly way: number;
  /** First layer of the stage after. */
  readonly next: number;
  readonly cores: number;
}

/**
 * `null` when no cut is legal and fits. Dynamic programming over (stage, first layer, cores left): O(n · layers² · cores · ways).
 * As PipeDream's partition (Narayanan et al. 2019), over the cuts of one fixed order, with devices and pool sizes in the state.
 * Where the fastest takes more than the room, the smallest limit of seconds is sought within which the leanest does not.
 */
export function partition(problem: PartitionProblem): Partition | null {
  const fastest = solve(problem, 'slowest');
  if (!fastest || taken(problem, fastest) <= problem.room) return fastest;
  if (leastRoom(problem) > problem.room) return null;
  const limits = paces(problem);
  let [tooFast, enough] = [-1, limits.length - 1];
  while (enough - tooFast > 1) {
    const middle = (tooFast + enough) >> 1;
    const found = leanest(problem, limits[middle]!);
    if (found && taken(problem, found) <= problem.room) enough = middle;
    else tooFast = middle;
  }
  return { ...leanest(problem, limits[enough]!)!, slowest: limits[enough]! };
}

/** Bytes that the stages take together at least; infinite when no cut is legal and fits. */
export function leastRoom(problem: PartitionProblem): number {
  const found = leanest(problem, Number.POSITIVE_INFINITY);
  return found ? taken(problem, found) : Number.POSITIVE_INFINITY;
}

/** The partition that takes the fewest bytes and has no stage slower than `limit`. */
function leanest(problem: PartitionProblem, limit: number): Partition | null {
  const stages = problem.stages.map((ways) =>
    ways.map((way) => ({
      ...way,
      seconds: way.takes,
      fits: (from: number, to: number) => way.seconds(from, to) <= limit && way.fits(from, to),
    })),
  );
  return solve({ ...problem, stages }, 'sum');
}

function taken({ stages, layers }: PartitionProblem, { starts, staffing }: Partition): number {
  return staffing.reduce((sum, way, j) => sum + stages[j]![way]!.takes(starts[j]!, starts[j + 1] ?? layers), 0);
}

/** All times that a stage can take, ascending. */
function paces({ layers, stages, legal }: PartitionProblem): number[] {
  const bounds = Array.from({ length: layers + 1 }, (_, k) => k).filter((k) => k === 0 || k === layers || legal(k));
  const pairs = bounds.flatMap((from, n) => bounds.slice(n + 1).map((to) => [from, to] as const));
  const all = stages.flat().flatMap((way) => pairs.map(([from, to]) => way.seconds(from, to)));
  return [...new Set(all)].sort((a, b) => a - b);
}

/** The partition with the smallest slowest stage, or with the smallest sum of all stages. */
function solve({ layers, stages, cores, legal }: PartitionProblem, least: Goal): Partition | null {
  const tails: (Tail | null)[][][] = [];
  for (let j = stages.length - 1; j >= 0; j--) {
    const after = tails[0];
    const firsts = Array.from({ length: layers }, (_, k) => (j === 0 ? k === 0 : k >= j && legal(k)));
    const best = firsts.map((usable, k) =>
      Array.from({ length: cores + 1 }, (_, left) =>
        usable ? bestTail(k, left, stages[j]!, after, layers, least) : null,
      ),
    );
    tails.unshift(best);
  }
  return walk(tails, cores);
}

type Goal = 'slowest' | 'sum';

function bestTail(
  k: number,
  left: number,
  ways: readonly Staffable[],
  after: readonly (readonly (Tail | null)[])[] | undefined,
  layers: number,
  least: Goal,
): Tail | null {
  const other = least === 'sum' ? 'slowest' : 'sum';
  let best: Tail | null = null;
  for (const [way, { cores, seconds, fits }] of ways.entries()) {
    if (cores > left) continue;
    for (let next = after ? k + 1 : layers; next <= layers - (after ? 1 : 0); next++) {
      const rest = after ? after[next]![left - cores]! : null;
      if ((after && !rest) || !fits(k, next)) continue;
      const own = seconds(k, next);
      const tail = { slowest: Math.max(own, rest?.slowest ?? 0), sum: own + (rest?.sum ?? 0), way, next, cores };
      if (!best || tail[least] < best[least] || (tail[least] === best[least] && tail[other] < best[other])) best = tail;
    }
  }
  return best;
}

function walk(tails: readonly (readonly (readonly (Tail | null)[])[])[], cores: number): Partition | null {
  const starts: number[] = [];
  const staffing: number[] = [];
  let k = 0;
  let left = cores;
  let slowest = 0;
  for (const best of tails) {
    const tail: Tail | null = best[k]?.[left] ?? null;
    if (!tail) return null;
    if (starts.length === 0) slowest = tail.slowest;
    starts.push(k);
    staffing.push(tail.way);
    k = tail.next;
    left -= tail.cores;
  }
  return { starts, staffing, slowest };
}

/**
 * Seconds that no cut of these layers can beat, whatever the staffing: the work split to any fraction among the fastest that each stage
 * can be, and the largest part that cannot be split where it is fastest.
 */
export function lowerBound({ layers, stages, legal }: PartitionProblem): number {
  const fastest = (from: number, to: number) =>
    stages.map((ways) => Math.min(...ways.map((way) => way.work(from, to))));
  const rate = fastest(0, layers).reduce((sum, seconds) => sum + 1 / seconds, 0);
  const starts = Array.from({ length: layers }, (_, k) => k).filter((k) => k === 0 || legal(k));
  const parts = starts.map((from, n) => Math.min(...fastest(from, starts[n + 1] ?? layers)));
  return Math.max(1 / rate, ...parts);
}
