/** Comparison by round: each value over what was measured in the same round, so that changes of the machine's speed cancel out. */

/** `values` over `others`, one of each for every round. */
export function ratiosByRound(values: readonly number[], others: readonly number[]): number[] {
  return values.map((value, round) => value / others[round]!);
}
