/** Steady times: a slice is timed until it gets no faster, since engines compile, and touch their memory, in their first runs. */
import type { LayerRange } from './plan.js';
import type { Patience, Stopwatch, Timing } from './stopwatch.js';

const FIRST_LOOK: Patience = { runs: 1, millis: 0 };

/** Seconds: what takes longer has been looked at long enough by then. */
const LONG = 0.3;

const PATIENCE: Patience = { runs: 3, millis: 80 };

/** A look that gains less than this share over the one before is steady; looks at most. */
const STEADY = { gain: 0.05, looks: 8 };

/** Ops [from, to) on `rows` rows of zeros. Errors as of `Stopwatch.time`. */
export async function timeSteady(
  stopwatch: Pick<Stopwatch, 'time'>,
  ops: LayerRange,
  rows: number,
  patience = PATIENCE,
): Promise<Timing> {
  const first = await stopwatch.time(ops, rows, FIRST_LOOK);
  if (first.seconds > LONG) return first;
  let best = await stopwatch.time(ops, rows, patience);
  for (let looks = 2; looks <= STEADY.looks; looks++) {
    const next = await stopwatch.time(ops, rows, patience);
    const gains = next.seconds < best.seconds * (1 - STEADY.gain);
    best = { ...next, seconds: Math.min(next.seconds, best.seconds) };
    if (!gains) break;
  }
  return { ...best, loadedBytes: first.loadedBytes };
}
