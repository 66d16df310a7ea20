/** Looks for the micro-batch: the smallest whose rows are computed about as fast as those of any other. */

import { runningSums } from '../sums.js';
import type { LayerRange } from './plan.js';
import type { Segment } from './segment.js';
import { timeSteady } from './steady.js';
import type { Patience, Stopwatch } from './stopwatch.js';

/** A larger micro-batch must gain more than this to be worth its memory and its longer fill. */
const WORTH = 0.03;

/** Seconds that the whole model may take on one micro-batch; larger ones are not tried: they take long to fill and long to plan. */
const MOST_SECONDS = 0.5;

const LOOK: Patience = { runs: 2, millis: 30 };

/** Sizes that may get slower one after another before the search ends. */
const MOST_WORSE = 3;

/** The share of the model's counted work that sizes are tried on: no layer speaks for those of another kind. */
const STRETCH = 1 / 6;

/**
 * Doubles the rows while it helps, on a stretch of the model; the rest is taken to follow in proportion. A micro-batch also pays for the
 * call that tells a worker of it.
 */
export async function bestMicroBatch(
  stopwatch: Pick<Stopwatch, 'time' | 'roundTrip'>,
  segments: readonly Segment[],
  most: number,
): Promise<number> {
  const stretch = stretchOf(segments);
  const tried: { rows: number; secondsPerRow: number }[] = [];
  let worse = 0;
  for (let rows = 1; rows <= most && worse < MOST_WORSE; rows *= 2) {
    // Engines prepare for every new shape: a size that is timed too early would seem slower than it is.
    const { seconds } = await timeSteady(stopwatch, stretch.ops, rows, { patience: LOOK });
    if (rows === 1) await stopwatch.roundTrip();
    const secondsPerRow = (seconds * stretch.scale + (await stopwatch.roundTrip())) / rows;
    const best = Math.min(...tried.map((each) => each.secondsPerRow));
    worse = secondsPerRow > best ? worse + 1 : 0;
    tried.push({ rows, secondsPerRow });
    if (2 * seconds * stretch.scale > MOST_SECONDS) break;
  }
  const fastest = Math.min(...tried.map(({ secondsPerRow }) => secondsPerRow));
  return tried.find(({ secondsPerRow }) => secondsPerRow <= fastest * (1 + WORTH))!.rows;
}

/** The fewest segments in a row that hold enough of the work; by how much the model has more of it. */
function stretchOf(segments: readonly Segment[]): { ops: LayerRange; scale: number } {
  const sums = runningSums(segments.map(({ work }) => work));
  const total = sums.at(-1)!;
  if (total === 0) return { ops: segments[0]!.ops, scale: segments.length };
  let best = { from: 0, to: segments.length };
  for (let from = 0, to = 1; to <= segments.length; to++) {
    while (sums[to]! - sums[from + 1]! >= STRETCH * total) from++;
    if (sums[to]! - sums[from]! >= STRETCH * total && to - from < best.to - best.from) best = { from, to };
  }
  const ops = { from: segments[best.from]!.ops.from, to: segments[best.to - 1]!.ops.to };
  return { ops, scale: total / (sums[best.to]! - sums[best.from]!) };
}
