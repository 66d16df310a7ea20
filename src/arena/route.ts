/** The route: the steps that every micro-batch takes, and which pool and worker compute each of them. Plain data. */

/** A pass of a stage. A slot changes its owner between steps. */
export interface Step {
  readonly stage: number;
  readonly pass: number;
  /** The pools that take it, round-robin: micro-batch i goes to pool `pools[i % pools.length]`. */
  readonly pools: readonly number[];
  /** The key under which its workers hold the slice. */
  readonly slice: string;
  /** Whether its workers load the slice anew for each block of micro-batches, in place of another. */
  readonly rotates?: boolean | undefined;
  /** Whether its workers keep state for the rows. If so, a sequence group always goes to the same worker. */
  readonly keepsState?: boolean | undefined;
}

export interface Route {
  readonly steps: readonly Step[];
  /** Workers of each pool. */
  readonly workers: readonly number[];
  /** How often a micro-batch may go through all steps. */
  readonly rounds: number;
  /** By name of an input, the output of the round before that is read instead, in every round but the first. */
  readonly feedback: Readonly<Record<string, string>>;
}

/** The group number of a micro-batch without a sequence group. */
export const NO_GROUP = -1;

/**
 * The pool that computes `step`. It depends on the micro-batch's number and group alone, so the same device computes a row now and after
 * a crash.
 */
export function poolAt({ pools, keepsState }: Step, microBatch: number, group: number): number {
  if (pools.length === 1) return pools[0]!;
  return pools[(keepsState && group !== NO_GROUP ? group : microBatch) % pools.length]!;
}

/** Index of the worker of its pool that computes `step`; `null` if any may. */
export function workerAt(step: Step, group: number, workers: readonly number[]): number | null {
  if (!step.keepsState || group === NO_GROUP) return null;
  const { length } = step.pools;
  return Math.floor(group / length) % workers[step.pools[group % length]!]!;
}
