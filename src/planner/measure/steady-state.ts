/**
 * Steady-state times: a slice is timed until it gets no faster, since engines compile and touch their memory for the first time in their first
 * runs.
 */
import type { LayerRange } from '../../plan/stage-options.js';
import type { Sampling, Stopwatch, Timing } from './stopwatch.js';

/** The first run alone. */
export const ONCE: Sampling = { runs: 0, millis: 0 };

const DEFAULT: Sampling = { runs: 3, millis: 80 };
/** For segments whose time hardly affects a plan. */
const LITTLE: Sampling = { runs: 3, millis: 20 };

/**
 * A run longer than `look` seconds is measured once more only, since compilation is little compared to it. If it is longer than `run` seconds,
 * a measurement is a single run.
 */
const LONG = { once: 0.1, oneRun: 0.4 };
const ONE_RUN: Sampling = { runs: 1, millis: 0 };

/** The steady state is reached when a measurement gains less than this share; at most so many are taken. */
const STEADY = { gain: 0.05, measurements: 8 };

/**
 * Times ops [from, to) on `rows` rows of zeros. `first`: the first run, if it was timed already. If the first run took less than `little`
 * seconds, one short measurement suffices. Errors as of `Stopwatch.time`.
 */
export async function timeSteadyState(
  stopwatch: Pick<Stopwatch, 'time'>,
  ops: LayerRange,
  rows: number,
  { sampling = DEFAULT, first, little = 0 }: { sampling?: Sampling; first?: Timing; little?: number } = {},
): Promise<Timing> {
  const { seconds, loadedBytes } = first ?? (await stopwatch.time(ops, rows, ONCE));
  if (seconds < little) return { ...(await stopwatch.time(ops, rows, LITTLE)), loadedBytes };
  let best = await stopwatch.time(ops, rows, seconds > LONG.oneRun ? ONE_RUN : sampling);
  const most = seconds > LONG.once ? 1 : STEADY.measurements;
  for (let n = 2; n <= most; n++) {
    const next = await stopwatch.time(ops, rows, sampling);
    const gains = next.seconds < best.seconds * (1 - STEADY.gain);
    best = { ...next, seconds: Math.min(next.seconds, best.seconds) };
    if (!gains) break;
  }
  return { ...best, loadedBytes };
}
