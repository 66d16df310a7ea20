/** The rows of a job: if there are few, micro-batches are smaller, so that all stages have work. */

/**
 * The fewest micro-batches of a job. With several stages or workers each worker gets at least two; one worker alone only needs to overlap with
 * reading and writing.
 */
const FEWEST_MICRO_BATCHES = { several: 8, alone: 2 };

/** The fewest rows for a second stage or worker: with fewer it gains less than its loading takes. */
const SEVERAL_FROM = 64;

/** Whether the job is too short for a second stage or worker; `null` rows are unknown. */
export function isShort(rows: number | null | undefined): boolean {
  return rows != null && rows < SEVERAL_FROM;
}

/** The most rows of a micro-batch in a job of so many rows; `null` rows are unknown. */
export function largestMicroBatch(
  rows: number | null | undefined,
  stages: readonly { readonly workers: number }[] = [],
): number {
  if (rows == null) return Number.POSITIVE_INFINITY;
  const isAlone = stages.length === 1 && stages[0]!.workers === 1;
  const several = Math.max(FEWEST_MICRO_BATCHES.several, 2 * Math.max(0, ...stages.map(({ workers }) => workers)));
  const fewest = isAlone ? FEWEST_MICRO_BATCHES.alone : several;
  return 2 ** Math.floor(Math.log2(Math.max(1, rows / fewest)));
}
