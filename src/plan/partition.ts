/** Exact partition: the contiguous cut of a row of costs into n stages whose slowest stage is as fast as can be. */

export interface PartitionProblem {
  /** Cost of each layer. */
  readonly costs: readonly number[];
  /** How fast each stage is: cost done in one unit of time. Its length is the number of stages. */
  readonly speeds: readonly number[];
  /** Whether a stage may begin at layer k. */
  readonly legal: (k: number) => boolean;
  /** Cost of moving what lives across the cut before layer k, paid by the stages on both sides. */
  readonly traffic: (k: number) => number;
}

/**
 * First layers of stages 1 … n-1, ascending, or `null` when there are fewer legal places than stages need.
 * Dynamic programming over (stage, first layer): O(n layers²).
 */
export function partition({ costs, speeds, legal, traffic }: PartitionProblem): number[] | null {
  const count = costs.length;
  const n = speeds.length;
  const sums = [0];
  for (const cost of costs) sums.push(sums.at(-1)! + cost);
  const move = (k: number) => (k === 0 || k === count ? 0 : traffic(k));
  const time = (j: number, from: number, to: number) => (move(from) + sums[to]! - sums[from]! + move(to)) / speeds[j]!;

  // best[k]: the fastest way to give layers k… to the stages from j on; filled from the last stage back.
  let best: Choice[] = Array.from({ length: count + 1 }, (_, k) =>
    k < count ? { slowest: time(n - 1, k, count), next: count } : null,
  );
  const choices = [best];
  for (let j = n - 2; j >= 0; j--) {
    const after = best;
    best = Array.from({ length: count + 1 }, (_, k) => {
      let chosen: Choice = null;
      for (let next = k + 1; next < count; next++) {
        const rest = after[next];
        if (!rest || !legal(next)) continue;
        const slowest = Math.max(time(j, k, next), rest.slowest);
        if (!chosen || slowest < chosen.slowest) chosen = { slowest, next };
      }
      return chosen;
    });
    choices.unshift(best);
  }
  return walk(choices);
}

type Choice = { readonly slowest: number; readonly next: number } | null;

function walk(choices: readonly Choice[][]): number[] | null {
  const starts: number[] = [];
  let k = 0;
  for (const best of choices) {
    const choice = best[k];
    if (!choice) return null;
    k = choice.next;
    starts.push(k);
  }
  return starts.slice(0, -1);
}
