/** The sweep: short runs that find the best micro-batch and depth of a trial before the long comparison. */

import { leastAsFast } from '../planner/measure/micro-batch-size.js';
import type { Trial } from '../planner/trial/trial.js';
import type { Workload } from '../planner/trial/workload.js';
import type { SweepPoint } from './result.js';

/** The least seconds of a short run, if the time allows. */
export const SHORT_RUN = 0.25;
const TAKES = 2;

/** A trial and its name in the table. */
export interface Candidate {
  readonly name: string;
  readonly trial: Trial;
}

/** `sizes`: only these are tried, all of them; else powers of two up to `largest` until it is `late`. */
export async function sweepSizes(
  candidates: readonly Candidate[],
  { sizes, largest, late }: { sizes: readonly number[] | undefined; largest: number; late: () => boolean },
): Promise<SweepPoint[]> {
  const at = (candidate: Candidate, microBatch: number) => {
    return { candidate, microBatch, depth: candidate.trial.pipeline.plan.depth };
  };
  const tried = sizes ?? coarseSizes(largest);
  const coarse = tried.flatMap((size) => candidates.map((candidate) => at(candidate, size)));
  if (sizes) return sweep(coarse, () => false);
  const points = await sweep(coarse, late);
  if (late()) return points;
  const nearby = candidates.flatMap((candidate) => {
    const { microBatch } = bestOf(points, candidate.name);
    return sizesBeside(microBatch, largest).map((size) => at(candidate, size));
  });
  return [...points, ...(await sweep(nearby, late))];
}

/** One candidate at its best micro-batch of `sizes`. */
export function sweepDepths(
  candidate: Candidate,
  sizes: readonly SweepPoint[],
  { depths, late }: { depths: readonly number[] | undefined; late: () => boolean },
): Promise<SweepPoint[]> {
  const { microBatch } = bestOf(sizes, candidate.name);
  const tried = depths ?? depthsFor(candidate.trial.pipeline.plan.depth);
  return sweep(
    tried.map((depth) => ({ candidate, microBatch, depth })),
    depths ? () => false : late,
  );
}

interface Entry extends Pick<Workload, 'microBatch' | 'depth'> {
  readonly candidate: Candidate;
}

/** Measures each entry twice until it is late; the first entry of every candidate is measured in any case. */
async function sweep(entries: readonly Entry[], late: () => boolean): Promise<SweepPoint[]> {
  const best = new Map<Entry, SweepPoint>();
  const known = new Set<Candidate>();
  for (let take = 0; take < TAKES; take++) {
    for (const entry of entries) {
      const { candidate, microBatch, depth } = entry;
      if (late() && known.has(candidate)) continue;
      const rowsPerSecond = await candidate.trial.pace(entry, SHORT_RUN, take === 0 ? 2 : 1);
      known.add(candidate);
      // A disturbance makes a run slower, never faster.
      if (rowsPerSecond > (best.get(entry)?.rowsPerSecond ?? 0)) {
        best.set(entry, { layout: candidate.name, microBatch, depth, rowsPerSecond });
      }
    }
  }
  return [...best.values()];
}

/** The smallest of one layout's fastest points. */
export function bestOf(points: readonly SweepPoint[], layout: string): SweepPoint {
  const own = points.filter((point) => point.layout === layout);
  const fromLeast = own.toSorted((a, b) => a.microBatch - b.microBatch || a.depth - b.depth);
  return leastAsFast(fromLeast, ({ rowsPerSecond }) => rowsPerSecond);
}

/** The first sizes: every second power of two up to `largest`. */
function coarseSizes(largest: number): number[] {
  const sizes: number[] = [];
  for (let size = largest; size >= 1; size = Math.floor(size / 4)) sizes.unshift(size);
  // The middle one first, in case the time ends early.
  const middle = sizes.length >> 1;
  return [...sizes.slice(middle), ...sizes.slice(0, middle)];
}

/** The sizes next to the best one that were not among the first sizes. */
function sizesBeside(best: number, largest: number): number[] {
  return [Math.floor(best / 2), best * 2].filter((size) => size >= 1 && size <= largest);
}

/** The depths to try: from more than enough to one stage at a time. */
function depthsFor(largest: number): number[] {
  return [...new Set([largest, Math.ceil(largest / 2), 3, 2, 1])].filter((depth) => depth <= largest);
}
