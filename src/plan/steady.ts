/** Steady times: a slice is timed until it gets no faster, since engines compile, and touch their memory, in their first runs. */
import type { LayerRange } from './plan.js';
import type { Patience, Stopwatch, Timing } from './stopwatch.js';

/** The first run alone. */
export const ONCE: Patience = { runs: 0, millis: 0 };

const PATIENCE: Patience = { runs: 3, millis: 80 };
/** For what a plan hardly feels. */
const LITTLE: Patience = { runs: 3, millis: 20 };

/** Seconds of a run from which on what engines compile is little beside it, so that one more look is enough, and from which on a look is one run. */
const LONG = { look: 0.1, run: 0.4 };
const ONE_RUN: Patience = { runs: 1, millis: 0 };

/** A look that gains less than this share over the one before is steady; looks at most. */
const STEADY = { gain: 0.05, looks: 8 };

/**
 * Ops [from, to) on `rows` rows of zeros, `first` run once already; one short look where the first run took less than `little` seconds. Errors as
 * of `Stopwatch.time`.
 */
export async function timeSteady(
  stopwatch: Pick<Stopwatch, 'time'>,
  ops: LayerRange,
  rows: number,
  { patience = PATIENCE, first, little = 0 }: { patience?: Patience; first?: Timing; little?: number } = {},
): Promise<Timing> {
  const { seconds, loadedBytes } = first ?? (await stopwatch.time(ops, rows, ONCE));
  if (seconds < little) return { ...(await stopwatch.time(ops, rows, LITTLE)), loadedBytes };
  let best = await stopwatch.time(ops, rows, seconds > LONG.run ? ONE_RUN : patience);
  const most = seconds > LONG.look ? 1 : STEADY.looks;
  for (let looks = 2; looks <= most; looks++) {
    const next = await stopwatch.time(ops, rows, patience);
    const gains = next.seconds < best.seconds * (1 - STEADY.gain);
    best = { ...next, seconds: Math.min(next.seconds, best.seconds) };
    if (!gains) break;
  }
  return { ...best, loadedBytes };
}
