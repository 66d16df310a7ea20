/** The rows of a job: where they are few, fewer of them travel together, so that all stages have something to do. */

/** A job of few rows still has some micro-batches for the stages to share. */
const FEWEST_MICRO_BATCHES = 8;

/** Rows of a micro-batch at most, in a job of so many; `null` where nobody knows. */
export function largestMicroBatch(rows: number | null | undefined): number {
  if (rows == null) return Number.POSITIVE_INFINITY;
  return 2 ** Math.floor(Math.log2(Math.max(1, rows / FEWEST_MICRO_BATCHES)));
}
