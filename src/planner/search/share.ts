/**
 * Shares micro-batches among the replicas of a stage by their speed: whole micro-batches of a round, and the round as short as possible
 * without loss.
 */

/** Micro-batches of a round at most. Outputs keep their order, so results wait for the slowest replica: a round must fit into the slots. */
const LONGEST_ROUND = 24;

/** The share of the pace that a longer round must gain. */
const WORTH = 0.02;

/** The share of each replica; `seconds` is the time between two micro-batches if it ran alone. Every share is at least 1. */
export function shareMicroBatches(seconds: readonly number[]): number[] {
  const least = seconds.map((each) => Math.max(each, Number.MIN_VALUE));
  if (new Set(least).size === 1) return least.map(() => 1);
  const shares: number[][] = [];
  for (const own of least) {
    for (let k = 1; k <= LONGEST_ROUND; k++) {
      const round = least.map((each) => Math.max(1, Math.floor((k * own * (1 + 1e-9)) / each)));
      if (total(round) <= LONGEST_ROUND) shares.push(filled(least, round));
    }
  }
  const slowest = least.indexOf(Math.max(...least));
  // A replica that is slower than the longest round can express slows the others down. The estimate must show that to a
  // user who asks for it.
  const longest = least.map((_, n) => (n === slowest ? 1 : Math.floor((LONGEST_ROUND - 1) / (least.length - 1))));
  if (shares.length === 0) return longest;
  const best = Math.min(...shares.map((each) => paceOfShares(least, each)));
  const enough = shares.filter((each) => paceOfShares(least, each) <= best * (1 + WORTH));
  return enough.reduce((a, b) => (total(b) < total(a) ? b : a));
}

/** Raises the shares of the faster replicas as far as they fit into the slowest one's time. */
function filled(seconds: readonly number[], shares: readonly number[]): number[] {
  const roundSeconds = Math.max(...seconds.map((each, n) => each * shares[n]!)) * (1 + 1e-9);
  const more = [...shares];
  while (total(more) < LONGEST_ROUND) {
    const ends = seconds.map((each, n) => each * (more[n]! + 1));
    const first = ends.indexOf(Math.min(...ends));
    if (ends[first]! > roundSeconds) break;
    more[first]! += 1;
  }
  return more;
}

/** Seconds between two micro-batches of all replicas together. */
export function paceOfShares(seconds: readonly number[], shares: readonly number[]): number {
  return Math.max(...seconds.map((each, n) => each * shares[n]!)) / total(shares);
}

function total(shares: readonly number[]): number {
  return shares.reduce((sum, each) => sum + each, 0);
}
