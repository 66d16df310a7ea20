/** Liveness: from where to where each value of a row of steps is needed, and so what lives across a cut before any of them. */

/** What reads and makes values, in an order in which they can run: an op, a stage, a native call. */
export interface Step<V> {
  readonly inputs: readonly V[];
  readonly outputs: readonly V[];
}

/** The steps in which a value is there, both included. */
export interface Lifetime {
  /** The step that makes it; -1 where it is fed from outside. */
  readonly born: number;
  /** The last step that reads it, else the one that makes it; the number of steps where it is kept behind all of them. */
  readonly last: number;
}

/** What is there before the first step, and what must be there after the last one. */
interface Ends<V> {
  readonly fed?: readonly V[];
  readonly kept?: readonly V[];
}

/** Of everything that is fed or made, in order of birth. What steps read besides, such as weights, has none. */
export function lifetimes<V>(steps: readonly Step<V>[], { fed = [], kept = [] }: Ends<V> = {}): Map<V, Lifetime> {
  const found = new Map<V, { born: number; last: number }>();
  for (const value of fed) found.set(value, { born: -1, last: -1 });
  const touch = (value: V, step: number) => {
    const life = found.get(value);
    if (life) life.last = step;
  };
  for (const [n, { inputs, outputs }] of steps.entries()) {
    for (const value of inputs) touch(value, n);
    for (const value of outputs) found.set(value, { born: n, last: n });
  }
  for (const value of kept) touch(value, steps.length);
  return found;
}

/** Whether a value lives across the cut before step `k`: it is there before, and needed at or after it. */
export function livesAcross({ born, last }: Lifetime, k: number): boolean {
  return born < k && last >= k;
}

/** Whether there is a step in which both are there. */
export function meet(a: Lifetime, b: Lifetime): boolean {
  return a.born <= b.last && b.born <= a.last;
}

/** For each cut k = 0 … `steps` the sum over the values that live across it. */
export function sumAcross(values: Iterable<readonly [Lifetime, number]>, steps: number): number[] {
  const changes = new Array<number>(steps + 2).fill(0);
  for (const [{ born, last }, amount] of values) {
    changes[born + 1]! += amount;
    changes[last + 1]! -= amount;
  }
  let sum = 0;
  return changes.slice(0, -1).map((change) => {
    sum += change;
    return sum;
  });
}

/** The cuts k = 1 … `steps` - 1 that at least one of the values lives across. */
export function cutsUnder(values: Iterable<Lifetime>, steps: number): Set<number> {
  const counts = sumAcross(
    [...values].map((life) => [life, 1] as const),
    steps,
  );
  return new Set(counts.flatMap((count, k) => (count > 0 && k > 0 && k < steps ? [k] : [])));
}

/** For each step the values that nothing needs after it, but for those that are kept. */
export function spentAfter<V>(steps: readonly Step<V>[], kept: Iterable<V>): V[][] {
  const seen = new Set(kept);
  const fromTheEnd = steps.toReversed().map(({ inputs, outputs }) => {
    const spent = [...new Set([...inputs, ...outputs])].filter((value) => !seen.has(value));
    for (const value of spent) seen.add(value);
    return spent;
  });
  return fromTheEnd.toReversed();
}
