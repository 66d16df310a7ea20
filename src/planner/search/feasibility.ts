/** Feasibility: partitions within a limit of seconds, the cores and the memory, and the least memory that suffices. */

import type { PartitionProblem } from './partition-problem.js';
import { type Bound, findComplete } from './prefixes.js';
import {
  type CutPoints,
  FEWEST_BYTES,
  FEWEST_CORES,
  type Goal,
  type Suffix,
  scoreOf,
  suffixesWithin,
} from './suffixes.js';

/** Weightings of cores and bytes that are tried: each prunes more prefixes. */
const WEIGHTS = 4;

/** Scores that differ by less than this share count as equal. */
const EQUAL = 1e-9;

export class FeasiblePartitions {
  readonly #problem: PartitionProblem;
  /** The weighting that last proved a limit infeasible: it is tried first for the next one. */
  #decisive: Goal | undefined;

  constructor(problem: PartitionProblem) {
    this.#problem = problem;
  }

  /**
   * A feasible partition, or `null`. The one with the fewest cores, the fewest bytes or the smallest weighted sum of both is returned if it is
   * feasible. If the smallest weighted sum exceeds what is available, there is none. Cases between are searched.
   */
  within(limit: number, cutPoints: CutPoints): Suffix | null {
    const problem = this.#problem;
    const { cores, memory } = problem;
    const bounds: Bound[] = [];
    for (const goal of this.#goals(bounds)) {
      const bound = boundOf(problem, limit, goal, cutPoints);
      const suffix = firstOf(bound);
      if (!suffix || scoreOf(goal, suffix) > bound.most * (1 + EQUAL)) {
        if (isWeighted(goal)) this.#decisive = goal;
        return null;
      }
      if (suffix.cores <= cores && suffix.bytes <= memory) return suffix;
      bounds.push(bound);
    }
    return findComplete({ problem, limit, cutPoints, bounds });
  }

  /** Goals in the order in which they are tried; `bounds` are the results of the earlier ones. */
  *#goals(bounds: readonly Bound[]): Generator<Goal> {
    const { cores, memory } = this.#problem;
    if (this.#decisive) yield this.#decisive;
    yield FEWEST_CORES;
    yield FEWEST_BYTES;
    // Shares of nothing have no weighted sum.
    if (cores === 0 || memory === 0) return;
    let [low, high] = [0, 1];
    for (let n = 0; n < WEIGHTS; n++) {
      const weight = (low + high) / 2;
      yield { cores: weight / cores, bytes: (1 - weight) / memory };
      if (firstOf(bounds.at(-1)!)!.cores > cores) low = weight;
      else high = weight;
    }
  }
}

/** The fewest bytes that the stages need together; infinite if no cut is legal and fits. */
export function leastBytes(problem: PartitionProblem, cutPoints: CutPoints): number {
  const limit = Number.POSITIVE_INFINITY;
  const free = { ...problem, memory: limit };
  const bounds = [FEWEST_CORES, FEWEST_BYTES].map((goal) => boundOf(free, limit, goal, cutPoints));
  const [fewest, fewestBytes] = bounds.map(firstOf);
  if (!fewest) return Number.POSITIVE_INFINITY;
  if (fewestBytes!.cores <= problem.cores) return fewestBytes!.bytes;
  return findComplete({ problem: free, limit, cutPoints, bounds, fewestBytes: true })!.bytes;
}

function isWeighted(goal: Goal): boolean {
  return goal !== FEWEST_CORES && goal !== FEWEST_BYTES;
}

/**
 * The best suffixes for a goal, and the most that a prefix and a suffix may have together: of the cores, of the memory, or of the weighted
 * shares of both.
 */
function boundOf(problem: PartitionProblem, limit: number, goal: Goal, cutPoints: CutPoints): Bound {
  const most = goal === FEWEST_CORES ? problem.cores : goal === FEWEST_BYTES ? problem.memory : 1;
  return { goal, suffixes: suffixesWithin(problem, limit, goal, cutPoints), most };
}

function firstOf({ suffixes }: Bound): Suffix | undefined {
  return suffixes[0]![0];
}
