/** Finds repeats in a model: stretches of layers that consist of the same unit several times. */

/** `count` units of `period` layers each, from layer `from` on. */
export interface Repeat {
  readonly from: number;
  readonly period: number;
  readonly count: number;
}

/** The longest unit that is searched for. */
const LONGEST_PERIOD = 256;
/** The fewest units of a repeat: two may be a coincidence. */
const LEAST_UNITS = 3;

/**
 * The repeats among layers with these `keys`, in order and disjoint: the longest stretch, then those on its two sides.
 * Units are as short as possible. If a stretch could be divided at several positions, units begin where `cost` is least.
 */
export function repeatsOf(keys: readonly string[], cost: (layer: number) => number): Repeat[] {
  const numbers = new Map<string, number>();
  const row = keys.map((key) => numbers.get(key) ?? numbers.set(key, numbers.size).size - 1);
  const found: Repeat[] = [];
  const waiting = [{ from: 0, to: row.length }];
  for (let span = waiting.pop(); span; span = waiting.pop()) {
    const stretch = longestStretch(row, span);
    if (!stretch) continue;
    const repeat = unitsOf(stretch, cost);
    found.push(repeat);
    const end = repeat.from + repeat.period * repeat.count;
    waiting.push({ from: span.from, to: repeat.from }, { from: end, to: span.to });
  }
  return found.sort((a, b) => a.from - b.from);
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** The longest stretch whose layers each equal the one `period` before. */
function longestStretch(row: readonly number[], { from, to }: Span): (Span & { period: number }) | null {
  let best: (Span & { period: number }) | null = null;
  let most = 0;
  const longest = Math.min(LONGEST_PERIOD, Math.floor((to - from) / LEAST_UNITS));
  for (let period = 1; period <= longest; period++) {
    let start = from;
    for (let k = from + period; k <= to; k++) {
      if (k < to && row[k] === row[k - period]) continue;
      if (k - start >= LEAST_UNITS * period && k - start > most) {
        most = k - start;
        best = { from: start, to: k, period };
      }
      start = k - period + 1;
    }
  }
  return best;
}

function unitsOf({ from, to, period }: Span & { period: number }, cost: (layer: number) => number): Repeat {
  let best = from;
  for (let start = from + 1; start < from + period && to - start >= LEAST_UNITS * period; start++) {
    if (cost(start) < cost(best)) best = start;
  }
  return { from: best, period, count: Math.floor((to - best) / period) };
}
