/** The first pace: what a loaded plan does a second, timed on as few rows as possible, and the size of micro-batch that this suggests. */
import { sum } from '../../sums.js';
import type { Trial } from './trial.js';

export interface FirstPace {
  readonly rowsPerSecond: number;
  /** Rows of a micro-batch that are enough, or those of the plan if the timing does not show fewer. */
  readonly microBatch: number;
}

/** The share of a job's rows that the timings of single rows may take, and how many they are at most. */
const SINGLES = { share: 1 / 40, most: 4 };

/** `rows`: those of the job. `microBatch`: rows of the micro-batch that the job would start with. */
export async function firstPace(trial: Trial, rows: number, microBatch: number): Promise<FirstPace> {
  const { stages, depth } = trial.plan;
  const workers = sum(stages.map((stage) => stage.workers));
  const single = await timeSingles(trial, workers, rows);
  const pace = workers / single.seconds;
  // At most a twentieth of the job's rows, counted as often as the timing runs them.
  const few = 2 ** Math.floor(Math.log2(Math.min(microBatch, rows / 20 / (3 * workers + 1))));
  if (few < 2) return { rowsPerSecond: pace, microBatch };
  if (few > trial.plan.microBatch) await trial.pipeline.adopt({ ...trial.plan, microBatch: few });
  const rowsPerSecond = await trial.pace({ microBatch: few, depth }, 0);
  const times = { one: single.seconds, few, seconds: (few * workers) / rowsPerSecond };
  return { rowsPerSecond: Math.max(pace, rowsPerSecond), microBatch: enoughRows(times, microBatch) };
}

/** The fastest of a few rounds of single rows, after one that prepares for them: the next ones may still be cold. */
async function timeSingles(trial: Trial, workers: number, rows: number): Promise<{ readonly seconds: number }> {
  const workload = { rows: workers, microBatch: 1, depth: trial.plan.depth };
  await trial.run(workload);
  let seconds = (await trial.run(workload)).seconds;
  for (let n = 2; n <= SINGLES.most && n * workers <= SINGLES.share * rows; n++) {
    seconds = Math.min(seconds, (await trial.run(workload)).seconds);
  }
  return { seconds };
}

/** The share of a micro-batch's time that may be its fixed cost: what it costs whatever its rows. */
const FIXED_SHARE = 0.08;

/**
 * The smallest power of two, at least `few`, at which the fixed cost of a micro-batch is no more than a small share of its time; at most `most`. `one`:
 * seconds of a micro-batch of one row, `seconds`: of one of `few` rows. The time is taken as fixed + rows x seconds per row. More rows than that
 * would only take memory, and be slower where a tensor no longer fits in the caches: MobileNetV2 in TensorFlow, 224 x 224, does 152 rows/s with
 * 4 rows and 118 with 16 (two workers of one thread on 2 cores of an AMD EPYC, 30 November 2026).
 */
export function enoughRows(
  { one, few, seconds }: { readonly one: number; readonly few: number; readonly seconds: number },
  most: number,
): number {
  const perRow = (seconds - one) / (few - 1);
  if (!(perRow > 0)) return most;
  const fixed = one - perRow;
  const rows = ((1 - FIXED_SHARE) * fixed) / (FIXED_SHARE * perRow);
  return Math.min(most, Math.max(few, 2 ** Math.ceil(Math.log2(Math.max(1, rows)))));
}
