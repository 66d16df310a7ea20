/** Shares turns among stages beside each other by how fast they are: whole micro-batches of a round that is as short as does no harm. */

/** Micro-batches of a round at most: the slowest stage holds up what comes after its own, so that a round must fit into the slots. */
const LONGEST_ROUND = 24;

/** A longer round must gain more than this. */
const WORTH = 0.02;

/** `seconds` between two micro-batches that each would give alone. Every one has a turn at least. */
export function shareTurns(seconds: readonly number[]): number[] {
  const least = seconds.map((each) => Math.max(each, Number.MIN_VALUE));
  const shares: number[][] = [];
  for (const own of least) {
    for (let k = 1; k <= LONGEST_ROUND; k++) {
      const turns = least.map((each) => Math.max(1, Math.floor((k * own * (1 + 1e-9)) / each)));
      if (total(turns) <= LONGEST_ROUND) shares.push(filled(least, turns));
    }
  }
  const slowest = least.indexOf(Math.max(...least));
  // One that is slower than a round can tell slows the others down: whoever asks for it must see that.
  const longest = least.map((_, n) => (n === slowest ? 1 : Math.floor((LONGEST_ROUND - 1) / (least.length - 1))));
  if (shares.length === 0) return longest;
  const best = Math.min(...shares.map((turns) => paceInTurns(least, turns)));
  const enough = shares.filter((turns) => paceInTurns(least, turns) <= best * (1 + WORTH));
  return enough.reduce((a, b) => (total(b) < total(a) ? b : a));
}

/** With the turns that others can have while the slowest, which has one at least, takes its own. */
function filled(seconds: readonly number[], turns: readonly number[]): number[] {
  const round = Math.max(...seconds.map((each, n) => each * turns[n]!)) * (1 + 1e-9);
  const more = [...turns];
  while (total(more) < LONGEST_ROUND) {
    const ends = seconds.map((each, n) => each * (more[n]! + 1));
    const first = ends.indexOf(Math.min(...ends));
    if (ends[first]! > round) break;
    more[first]! += 1;
  }
  return more;
}

/** Seconds between two micro-batches that leave all of them together. */
export function paceInTurns(seconds: readonly number[], turns: readonly number[]): number {
  return Math.max(...seconds.map((each, n) => each * turns[n]!)) / total(turns);
}

function total(turns: readonly number[]): number {
  return turns.reduce((sum, each) => sum + each, 0);
}
