/** Looks for the micro-batch: the smallest whose rows are computed about as fast as those of any other. */
import type { Segment } from './segment.js';
import { timeSteady } from './steady.js';
import type { Patience, Stopwatch } from './stopwatch.js';

/** A larger micro-batch must gain more than this to be worth its memory and its longer fill. */
const WORTH = 0.03;

/** Seconds that the whole model may take on one micro-batch; larger ones are not tried. */
const MOST_SECONDS = 1;

const LOOK: Patience = { runs: 2, millis: 30 };

/** Sizes that may get slower one after another before the search ends. */
const MOST_WORSE = 2;

/**
 * Doubles the rows while it helps, on the segment with the most work; the rest of the model is taken to follow in proportion.
 * A micro-batch also pays for the call that tells a worker of it.
 */
export async function bestMicroBatch(
  stopwatch: Stopwatch,
  segments: readonly Segment[],
  most: number,
): Promise<number> {
  const heaviest = segments.reduce((best, segment) => (segment.work > best.work ? segment : best));
  const total = segments.reduce((sum, { work }) => sum + work, 0);
  const scale = heaviest.work > 0 ? total / heaviest.work : segments.length;
  const tried: { rows: number; secondsPerRow: number }[] = [];
  let worse = 0;
  for (let rows = 1; rows <= most && worse < MOST_WORSE; rows *= 2) {
    // The first one would pay for what the engine does only once.
    if (rows === 1) await timeSteady(stopwatch, heaviest.ops, rows, LOOK);
    const { seconds } = await stopwatch.time(heaviest.ops, rows, LOOK);
    if (rows === 1) await stopwatch.roundTrip();
    const secondsPerRow = (seconds * scale + (await stopwatch.roundTrip())) / rows;
    const best = Math.min(...tried.map((each) => each.secondsPerRow));
    worse = secondsPerRow > best ? worse + 1 : 0;
    tried.push({ rows, secondsPerRow });
    if (2 * seconds * scale > MOST_SECONDS) break;
  }
  const fastest = Math.min(...tried.map(({ secondsPerRow }) => secondsPerRow));
  return tried.find(({ secondsPerRow }) => secondsPerRow <= fastest * (1 + WORTH))!.rows;
}
