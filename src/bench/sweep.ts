/** The sweep: short runs that find the micro-batch and the depth that suit a trial, before the long comparison. */
import type { SweepPoint } from './result.js';
import type { Course } from './row-bank.js';
import type { Trial } from './trial.js';

/** Seconds that one short run should take at least, where the budget leaves them. */
const SHORT_RUN = 0.25;
/** Rates closer than this are the same: the smaller micro-batch, the smaller depth is then taken, which needs less memory. */
const SAME = 0.02;
const TAKES = 2;

/** A trial by its name in the table. */
export interface Candidate {
  readonly name: string;
  readonly trial: Trial;
}

/** `sizes` to try these alone, all of them; else powers of two up to `largest` for as long as it is not `late`. */
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
  const beside = candidates.flatMap((candidate) => {
    const { microBatch } = bestOf(points, candidate.name);
    return sizesBeside(microBatch, largest).map((size) => at(candidate, size));
  });
  return [...points, ...(await sweep(beside, late))];
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

interface Entry extends Pick<Course, 'microBatch' | 'depth'> {
  readonly candidate: Candidate;
}

/** Measures each entry, then each again, until it is late; the first one of every candidate is measured all the same. */
async function sweep(entries: readonly Entry[], late: () => boolean): Promise<SweepPoint[]> {
  const best = new Map<Entry, SweepPoint>();
  const known = new Set<Candidate>();
  for (let take = 0; take < TAKES; take++) {
    for (const entry of entries) {
      const { candidate, microBatch, depth } = entry;
      if (late() && known.has(candidate)) continue;
      const rowsPerSecond = await shortRun(candidate.trial, entry, take === 0);
      known.add(candidate);
      // What disturbs a run makes it slower, never faster.
      if (rowsPerSecond > (best.get(entry)?.rowsPerSecond ?? 0)) {
        best.set(entry, { layout: candidate.name, microBatch, depth, rowsPerSecond });
      }
    }
  }
  return [...best.values()];
}

/** Rows a second of a long job at this micro-batch and depth; `cold` where the trial has not run so before. */
export async function shortRun(
  trial: Trial,
  { microBatch, depth }: Pick<Course, 'microBatch' | 'depth'>,
  cold: boolean,
): Promise<number> {
  const course = { microBatch, depth };
  const workers = trial.pipeline.plan.stages.reduce((sum, stage) => sum + stage.workers, 0);
  // Engines set themselves up for each new shape.
  const first = await trial.run({ ...course, rows: microBatch * (cold ? 2 * workers : workers) });
  const fewest = 2 * workers + 1;
  // Its steady rate says nothing: workers that begin together end together.
  const enough = Math.ceil((SHORT_RUN * first.rows) / first.seconds / microBatch);
  const { steadyRate } = await trial.run({ ...course, rows: microBatch * Math.max(fewest, Math.min(enough, 400)) });
  return steadyRate;
}

/** The point of one layout that is as fast as any, and the smallest of those. */
export function bestOf(points: readonly SweepPoint[], layout: string): SweepPoint {
  const own = points.filter((point) => point.layout === layout);
  const fastest = Math.max(...own.map(({ rowsPerSecond }) => rowsPerSecond));
  const good = own.filter(({ rowsPerSecond }) => rowsPerSecond >= fastest * (1 - SAME));
  return good.toSorted((a, b) => a.microBatch - b.microBatch || a.depth - b.depth)[0]!;
}

/** Sizes to begin with: every fourth power of two up to `largest`. */
function coarseSizes(largest: number): number[] {
  const sizes: number[] = [];
  for (let size = largest; size >= 1; size = Math.floor(size / 4)) sizes.unshift(size);
  // The middle one first: when the time ends early, it is what is known.
  const middle = sizes.length >> 1;
  return [...sizes.slice(middle), ...sizes.slice(0, middle)];
}

/** The sizes beside the best one that the coarse sizes have left out. */
function sizesBeside(best: number, largest: number): number[] {
  return [Math.floor(best / 2), best * 2].filter((size) => size >= 1 && size <= largest);
}

/** Depths worth a try: from more than enough to one stage at a time. */
function depthsFor(largest: number): number[] {
  return [...new Set([largest, Math.ceil(largest / 2), 3, 2, 1])].filter((depth) => depth <= largest);
}
