/** The events of a run of a file: the command line prints them, a program may listen to some. */
import type { ModelGraph } from '../model/graph.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import type { RowFailure } from '../rows/source.js';
import type { Progress } from './job.js';
import type { Summary } from './summary.js';

/** The progress of a job. */
export interface RunProgress extends Progress {
  /** Rows of the input in all; `null` if unknown (a pipe). */
  readonly total: number | null;
}

export interface RunListener {
  /** A step before the first row, in a few words. */
  readonly onStep?: (text: string) => void;
  /** A notice. */
  readonly onNotice?: (text: string) => void;
  /** `left`: rows still to do, where known; `why`: why no more was measured. */
  readonly onPlan?: (graph: ModelGraph, plan: Plan, more: { left: number | null; why: string | null }) => void;
  readonly onProgress?: (progress: RunProgress, pipeline: Pipeline) => void;
  /** Of one micro-batch, after it is written; at least one. */
  readonly onFailures?: (failures: readonly RowFailure[]) => void;
  /** After the last row, whatever the reason. */
  readonly onRowsEnd?: () => void;
  /** `first`: the first row that failed in this run. */
  readonly onSummary?: (summary: Summary, first: RowFailure | null) => void;
}

/** How a run is stopped from outside. */
export interface Stop {
  /** When it fires, no further rows are read; those in flight are finished and written. */
  readonly signal: AbortSignal;
  /** Settles as `step` does; rejects as soon as the run is stopped. The step itself is not ended. */
  race<T>(step: Promise<T>): Promise<T>;
}

/** Rejects with the signal's own reason. */
export function stopOf(signal: AbortSignal = new AbortController().signal): Stop {
  return {
    signal,
    race: (step) => {
      let onAbort = () => {};
      const aborted = new Promise<never>((_, reject) => {
        onAbort = () => reject(signal.reason);
        if (signal.aborted) onAbort();
        else signal.addEventListener('abort', onAbort, { once: true });
      });
      // The abandoned step may fail later.
      step.catch(() => {});
      return Promise.race([step, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
    },
  };
}
