/** The partition problem: a sequence of layers, and for each stage its options with their costs. */

/** One option of a stage: from 1 to `most` units, each of which holds the stage's layers and computes micro-batches in parallel with the others. */
export interface PartitionOption {
  /** Cores that each unit keeps busy. All stages share the cores. */
  readonly cores: number;
  readonly most: number;
  /**
   * Seconds in which one unit that holds layers [from, to) computes a micro-batch. With `units` units a micro-batch leaves after `seconds /
   * units`.
   */
  seconds(from: number, to: number): number;
  /** As `seconds`, for the computing alone: parts add up to the whole, so more layers never take less. */
  work(from: number, to: number): number;
  /** Whether layers [from, to) fit into the stage's own budget. If `units` do not fit, more units do not either. */
  fits(from: number, to: number, units: number): boolean;
  /** Bytes of the memory that all stages share. More units never take fewer. */
  sharedBytes(from: number, to: number, units: number): number;
}

export interface PartitionProblem {
  readonly layers: number;
  /** For each stage, in order, its options. */
  readonly stages: readonly (readonly PartitionOption[])[];
  readonly cores: number;
  /** Whether a stage may begin at layer k. */
  readonly legal: (k: number) => boolean;
  /** Bytes of shared memory that all stages together may use. */
  readonly memory: number;
  /** Counts how often an option was evaluated for a range of layers: the cost of the search, the same on any machine. */
  readonly tally?: { evaluated: number } | undefined;
}

/** The option chosen for a stage, by its index, and its number of units. */
export interface Allocation {
  readonly option: number;
  readonly units: number;
}
