/** The best size of a micro-batch: tried on a loaded pipeline, doubled for as long as the rate improves. */
import { sum } from '../../sums.js';
import { leastAsFast, mostRows } from '../measure/micro-batch-size.js';
import type { Trial } from './trial.js';

/** A size that gains less than this share counts as no improvement. */
const GAIN = 0.01;

/** Seconds of work for each size, by default. */
const SECONDS_PER_SIZE = 0.12;

/** The size where the search starts, and after how many sizes in a row without improvement it ends. */
const SEARCH = { from: 8, worse: 2 };

export interface SizeOptions {
  /** Rows. */
  readonly most: number;
  /** The size where the search starts. */
  readonly from?: number | undefined;
  /** Seconds that the search may take. */
  readonly seconds: number;
  /** Seconds of work for each size. */
  readonly secondsPerSize?: number;
}

/** The smallest size that is about as fast as any, with its rows a second. If the time is over, the best so far. */
export async function bestSize(
  trial: Trial,
  { most, from = SEARCH.from, seconds, secondsPerSize = SECONDS_PER_SIZE }: SizeOptions,
) {
  const began = performance.now();
  const { pipeline } = trial;
  const workers = sum(pipeline.plan.stages.map((stage) => stage.workers));
  const perRow = pipeline.liveBytes.map((bytes) => bytes / pipeline.plan.microBatch);
  const largest = mostRows(perRow, most);
  const rates = new Map<number, number>();
  const fastest = () => Math.max(0, ...rates.values());
  /** Whether the time suffices for one more size: its micro-batches, and those with which workers prepare. */
  const isAffordable = (rows: number) =>
    ((4 * workers + 1) * rows) / fastest() < seconds - (performance.now() - began) / 1e3;
  const tryOne = async (rows: number) => {
    if (rows > pipeline.plan.microBatch) await pipeline.adopt({ ...pipeline.plan, microBatch: rows });
    rates.set(rows, await trial.pace({ microBatch: rows, depth: pipeline.plan.depth }, secondsPerSize));
  };
  const start = 2 ** Math.floor(Math.log2(Math.min(from, largest)));
  await tryOne(start);
  const search = async (next: (rows: number) => number) => {
    let worse = 0;
    for (
      let rows = next(start);
      rows >= 1 && rows <= largest && worse < SEARCH.worse && isAffordable(rows);
      rows = next(rows)
    ) {
      const before = fastest();
      await tryOne(rows);
      worse = rates.get(rows)! > before * (1 + GAIN) ? 0 : worse + 1;
    }
  };
  await search((rows) => rows * 2);
  await search((rows) => rows / 2);
  const fromSmallest = [...rates].sort(([a], [b]) => a - b);
  const [microBatch, rate] = leastAsFast(fromSmallest, ([, each]) => each);
  return { microBatch, rate };
}
