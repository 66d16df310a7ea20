/** Searches for the micro-batch: the smallest whose rate is about as high as that of any other. */

import type { LayerRange } from '../../plan/stage-options.js';
import { runningSums } from '../../sums.js';
import { leastAsFast } from './micro-batch-size.js';
import type { Segment } from './segment.js';
import { timeSteadyState } from './steady-state.js';
import type { Sampling, Stopwatch } from './stopwatch.js';

/** Seconds that the whole model may take for one micro-batch. Larger ones are not tried: they take long to fill and to plan. */
const MOST_SECONDS = 0.5;

const SAMPLING: Sampling = { runs: 2, millis: 30 };

/** Slower sizes in a row after which the search ends. */
const MOST_WORSE = 3;

/** The share of the model's estimated work on which sizes are tried: a single layer does not represent layers of other kinds. */
const STRETCH = 1 / 6;

/** Doubles the rows while that helps, timed on a stretch of the model and scaled up to all of it. Each micro-batch also costs a call to a worker. */
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
    const { seconds } = await timeSteadyState(stopwatch, stretch.ops, rows, { sampling: SAMPLING });
    if (rows === 1) await stopwatch.roundTrip();
    const secondsPerRow = (seconds * stretch.scale + (await stopwatch.roundTrip())) / rows;
    const best = Math.min(...tried.map((each) => each.secondsPerRow));
    worse = secondsPerRow > best ? worse + 1 : 0;
    tried.push({ rows, secondsPerRow });
    if (2 * seconds * stretch.scale > MOST_SECONDS) break;
  }
  return leastAsFast(tried, ({ secondsPerRow }) => 1 / secondsPerRow).rows;
}

/** The fewest consecutive segments with enough of the work, and the factor by which the model has more. */
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
