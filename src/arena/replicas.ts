/**
 * Replicas of a stage, and their shares of the micro-batches by weighted round-robin. The micro-batch's number alone decides, so the same
 * device computes a row now and after a crash.
 */

/** A stage in an ordered list. The names are those of plan files. */
export interface Replica {
  /** Whether it is a replica of the stage before it: it computes the same layers. */
  readonly beside?: boolean | undefined;
  /** Its share: micro-batches of each round that it takes; default 1. */
  readonly turns?: number | undefined;
}

/** The replicas of one stage; most often one. */
export interface ReplicaGroup {
  /** Indices in the list of stages. */
  readonly stages: readonly number[];
  /** For each micro-batch of a round, the replica that takes it: an index of `stages`. */
  readonly roundRobin: readonly number[];
}

/** The round of a stage without other replicas. */
const ALONE: readonly number[] = [0];

export function replicaGroupsOf(stages: readonly Replica[]): ReplicaGroup[] {
  const groups: number[][] = [];
  for (const [j, { beside }] of stages.entries()) {
    if (beside && j > 0) groups.at(-1)!.push(j);
    else groups.push([j]);
  }
  return groups.map((own) => ({ stages: own, roundRobin: roundRobinOf(own.map((j) => stages[j]!.turns ?? 1)) }));
}

/** Smooth weighted round-robin: a round in which replica n comes `shares[n]` times. Each next one is the one furthest behind its share. */
function roundRobinOf(shares: readonly number[]): readonly number[] {
  if (shares.length === 1) return ALONE;
  const length = shares.reduce((sum, each) => sum + each, 0);
  const taken = shares.map(() => 0);
  return Array.from({ length }, (_, i) => {
    const behind = shares.map((each, n) => (each * (i + 1)) / length - taken[n]!);
    const next = behind.indexOf(Math.max(...behind));
    taken[next]! += 1;
    return next;
  });
}

export function replicaAt(roundRobin: readonly number[], microBatch: number): number {
  return roundRobin[microBatch % roundRobin.length]!;
}

/** The fraction of all micro-batches that each stage takes. */
export function sharesOf(stages: readonly Replica[]): number[] {
  return replicaGroupsOf(stages).flatMap(({ stages: own, roundRobin }) =>
    own.map((_, n) => roundRobin.filter((replica) => replica === n).length / roundRobin.length),
  );
}
