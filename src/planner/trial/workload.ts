/** A workload: how many rows a trial runs, the size of its micro-batches, and how many of them are in flight. */

import { type Feed, zeroRowsFrom } from '../../pipeline/micro-batch.js';
import type { Tensor, TensorSpec } from '../../tensor.js';

export interface Workload {
  /** Rows in total. */
  readonly rows: number;
  readonly microBatch: number;
  /** Micro-batches in flight at most. The pipeline may have more slots; these stay empty. */
  readonly depth: number;
}

/** A feed for one run. Call `taken` for each micro-batch that comes out. `copyMicros`: microseconds spent on writing rows so far. */
export interface WorkloadFeed extends Feed {
  taken(): void;
  readonly copyMicros: number;
}

/** The rows that a trial runs. */
export interface TrialRows {
  /** The shape of one row, for each input. */
  readonly specs: readonly TensorSpec[];
  feed(workload: Workload): WorkloadFeed;
}

/** A feed that calls `write` to put rows [at, at + count) of the workload into the slot. */
export function workloadFeed(
  { rows, microBatch, depth }: Workload,
  write: (into: readonly Tensor[], at: number, count: number) => void,
): WorkloadFeed {
  let at = 0;
  let inFlight = 0;
  let wake: (() => void) | undefined;
  let copyMicros = 0;
  return {
    get copyMicros() {
      return copyMicros;
    },
    fill: async (into) => {
      if (at === rows) return 0;
      while (inFlight >= depth) await new Promise<void>((resolve) => (wake = resolve));
      const count = Math.min(rows - at, microBatch);
      const began = performance.now();
      write(into, at, count);
      copyMicros += (performance.now() - began) * 1e3;
      at += count;
      inFlight += 1;
      return count;
    },
    taken: () => {
      inFlight -= 1;
      wake?.();
      wake = undefined;
    },
  };
}

/** Rows of zeros. They are written each time, because the slot still holds an earlier micro-batch. */
export function rowsOfZeros(specs: readonly TensorSpec[]): TrialRows {
  const write = (into: readonly Tensor[]) => {
    for (const tensor of into) zeroRowsFrom(tensor, 0);
  };
  return { specs, feed: (workload) => workloadFeed(workload, write) };
}
