/** The size of micro-batches: one rule for `plan`, `run` and `bench`. */

/** The share that a larger micro-batch, or a deeper pipeline, must gain to be worth its memory and its longer fill. */
const WORTH = 0.03;

/** Bytes of live tensors that a micro-batch carries at most. */
const MOST_LIVE_BYTES = 64 * 2 ** 20;

/** Of what was tried, that with the least first, the first that is about as fast as any. */
export function leastAsFast<T>(tried: readonly T[], rateOf: (each: T) => number): T {
  const fastest = Math.max(...tried.map(rateOf));
  return tried.find((each) => rateOf(each) >= fastest * (1 - WORTH))!;
}

/** Rows, at least 1 and at most `most`, of which one has so many bytes of live tensors where it has most. */
export function mostRows(liveBytesOfRow: readonly (number | null)[], most: number): number {
  const bytes = Math.max(1, ...liveBytesOfRow.map((each) => each ?? 0));
  return Math.max(1, Math.min(most, Math.floor(MOST_LIVE_BYTES / bytes)));
}
