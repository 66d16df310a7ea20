/**
 * Turns: which of the stages that stand beside each other takes which micro-batch. It is fixed by the micro-batch's number, so that whenever
 * a row is computed, now or after a crash, the same device computes it.
 */

/** A stage in an ordered list: one that stands beside the stage before it computes the same layers. */
export interface Taking {
  readonly beside?: boolean | undefined;
  /** Micro-batches of each round that it takes; default 1. */
  readonly turns?: number | undefined;
}

/** Stages that stand beside each other; most often one alone. */
export interface Section {
  /** Places in the list of stages. */
  readonly stages: readonly number[];
  /** Which of them, counted from 0, takes each micro-batch of a round. */
  readonly order: readonly number[];
}

/** A stage alone takes all. */
export const ALONE: readonly number[] = [0];

export function sectionsOf(stages: readonly Taking[]): Section[] {
  const places: number[][] = [];
  for (const [j, { beside }] of stages.entries()) {
    if (beside && j > 0) places.at(-1)!.push(j);
    else places.push([j]);
  }
  return places.map((own) => ({ stages: own, order: orderOf(own.map((j) => stages[j]!.turns ?? 1)) }));
}

/** A round in which each of several comes so many times, spread evenly: at each step the one that is furthest behind its share. */
export function orderOf(turns: readonly number[]): readonly number[] {
  if (turns.length === 1) return ALONE;
  const round = turns.reduce((sum, each) => sum + each, 0);
  const taken = turns.map(() => 0);
  return Array.from({ length: round }, (_, step) => {
    const behind = turns.map((each, n) => (each * (step + 1)) / round - taken[n]!);
    const next = behind.indexOf(Math.max(...behind));
    taken[next]! += 1;
    return next;
  });
}

export function turnOf(order: readonly number[], microBatch: number): number {
  return order[microBatch % order.length]!;
}

/** Of all micro-batches, the share that each stage takes. */
export function sharesOf(stages: readonly Taking[]): number[] {
  return sectionsOf(stages).flatMap(({ order }) => {
    const count = Math.max(...order) + 1;
    return Array.from({ length: count }, (_, n) => order.filter((turn) => turn === n).length / order.length);
  });
}
