/** Prefixes: the first stages of a pipeline, extended stage by stage while some suffix may still complete them within the cores and the memory. */
import type { Allocation, PartitionOption, PartitionProblem } from './partition-problem.js';
import {
  type CutPoints,
  FEWEST_BYTES,
  type Goal,
  type Suffix,
  type Suffixes,
  scoreOf,
  unitsWithin,
} from './suffixes.js';

/** An assignment of layers [0, next) to the first stages. */
interface Prefix extends Allocation {
  /** Seconds of its last stage. */
  readonly seconds: number;
  readonly cores: number;
  readonly bytes: number;
  readonly next: number;
  readonly before: Prefix | null;
}

/** The best suffixes for a goal. A prefix can be completed only if its score and the suffix's are at most `most` together. */
export interface Bound {
  readonly goal: Goal;
  readonly suffixes: Suffixes;
  readonly most: number;
}

/** The input of a search within one limit of seconds. */
export interface PrefixSearch {
  readonly problem: PartitionProblem;
  readonly limit: number;
  readonly cutPoints: CutPoints;
  readonly bounds: readonly Bound[];
  /** Find the partition with the fewest bytes instead of the first that is feasible. */
  readonly fewestBytes?: boolean;
}

const EMPTY: Prefix = { option: 0, units: 0, seconds: 0, cores: 0, bytes: 0, next: 0, before: null };

/** Sums added in different order may differ by this share. */
const EQUAL = 1e-9;

/**
 * A partition within the limit of seconds, the cores and the memory; `null` if there is none. Exact: a prefix is dropped only if a bound shows
 * that nothing completes it, or if another prefix of the same layers has no more cores and no more bytes.
 */
export function findComplete(search: PrefixSearch): Suffix | null {
  const { problem, cutPoints, fewestBytes = false } = search;
  let { memory } = problem;
  let best: Suffix | null = null;
  let prefixes: ReadonlyMap<number, readonly Prefix[]> = new Map([[0, [EMPTY]]]);
  for (let j = 0; j < problem.stages.length; j++) {
    const isLast = j + 1 === problem.stages.length;
    const ends = isLast ? [problem.layers] : cutPoints[j + 1]!;
    const after = new Map<number, Prefix[]>();
    for (const before of prefixes.values()) {
      for (const prefix of extensionsOf(search, before, j, ends)) {
        if (prefix.cores > problem.cores || prefix.bytes > memory) continue;
        if (!isLast && isPruned(search, prefix, j + 1, memory)) continue;
        const whole: Suffix | null = isLast ? joined(prefix, null) : completion(search, prefix, j + 1, memory);
        if (whole) {
          if (!fewestBytes) return whole;
          best = whole;
          memory = whole.bytes * (1 - Number.EPSILON);
        }
        if (!isLast) addUndominated(after, prefix);
      }
    }
    prefixes = after;
  }
  return best;
}

/** Prefixes of the same layers, extended by stage `j` in every possible way. */
function* extensionsOf(
  { problem, limit }: PrefixSearch,
  prefixes: readonly Prefix[],
  j: number,
  ends: readonly number[],
): Generator<Prefix> {
  const k = prefixes[0]!.next;
  const options: readonly PartitionOption[] = problem.stages[j]!;
  for (const next of ends) {
    if (next <= k) continue;
    let tooMuch = true;
    for (const [option, own] of options.entries()) {
      const seconds = own.seconds(k, next);
      const units = unitsWithin(seconds, limit);
      if (problem.tally) problem.tally.evaluated += 1;
      tooMuch &&= units > own.most && own.work(k, next) > limit * own.most;
      if (units > own.most || !own.fits(k, next, units)) continue;
      const takes = own.sharedBytes(k, next, units);
      for (const before of prefixes) {
        const [cores, bytes] = [before.cores + own.cores * units, before.bytes + takes];
        yield { option, units, seconds: seconds / units, cores, bytes, next, before };
      }
    }
    // More layers never take less.
    if (tooMuch) return;
  }
}

function isPruned({ bounds }: PrefixSearch, prefix: Prefix, j: number, memory: number): boolean {
  return bounds.some(({ goal, suffixes, most }) => {
    const suffix = suffixes[j]![prefix.next];
    const limit = goal === FEWEST_BYTES ? memory : most;
    return !suffix || scoreOf(goal, prefix) + scoreOf(goal, suffix) > limit * (1 + EQUAL);
  });
}

/** The prefix with one of the best suffixes, if that is feasible. */
function completion(
  { bounds, problem: { cores } }: PrefixSearch,
  prefix: Prefix,
  j: number,
  memory: number,
): Suffix | null {
  for (const { suffixes } of bounds) {
    const suffix = suffixes[j]![prefix.next]!;
    if (prefix.cores + suffix.cores <= cores && prefix.bytes + suffix.bytes <= memory) return joined(prefix, suffix);
  }
  return null;
}

function joined(prefix: Prefix, rest: Suffix | null): Suffix {
  const { option, units, seconds, next, before } = prefix;
  // The cores and bytes of this stage alone.
  const [cores, bytes] = [prefix.cores - (before?.cores ?? 0), prefix.bytes - (before?.bytes ?? 0)];
  const suffix: Suffix = {
    ...{ option, units, next, rest },
    slowest: Math.max(seconds, rest?.slowest ?? 0),
    sum: seconds + (rest?.sum ?? 0),
    cores: cores + (rest?.cores ?? 0),
    bytes: bytes + (rest?.bytes ?? 0),
  };
  return before && before !== EMPTY ? joined(before, suffix) : suffix;
}

function addUndominated(prefixes: Map<number, Prefix[]>, prefix: Prefix): void {
  const same = prefixes.get(prefix.next) ?? [];
  if (same.some(({ cores, bytes }) => cores <= prefix.cores && bytes <= prefix.bytes)) return;
  prefixes.set(prefix.next, [
    ...same.filter(({ cores, bytes }) => cores < prefix.cores || bytes < prefix.bytes),
    prefix,
  ]);
}
