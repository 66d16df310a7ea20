/** The rounds: all candidates, interleaved, the first of them twice, for as long as there is time. */
import { estimate, ratioOf } from '../../src/bench/statistics.js';
import type { Candidate } from './field.js';
import type { PeerResult, SubjectResult } from './result.js';
import type { Subject } from './subjects.js';

const FEWEST_ROUNDS = 3;
const AIMED_ROUNDS = 7;
/** Where there is time for more. Many short rounds give narrower bounds than few long ones. */
const MOST_ROUNDS = 21;
/** Tandem's micro-batches of a run, so that filling and emptying do not decide it: the aim, and the least. */
const ENOUGH_BATCHES = 128;
const FEWEST_BATCHES = 16;

export interface Limits {
  readonly subject: Subject;
  /** Second of `performance.now()` at which to be done; Infinity to do all rounds, however long they take. */
  readonly until: number;
  readonly progress: (what: string) => void;
}

/** Throws when the time does not do for the fewest rounds. */
export async function measureRounds(
  field: readonly Candidate[],
  { subject, until, progress }: Limits,
): Promise<Pick<SubjectResult, 'rows' | 'peers' | 'again'>> {
  const entries = [...field.entries(), [0, field[0]!] as const];
  const left = until - performance.now() / 1e3;
  const rows = rowsFor(subject, field, left);
  const rates: number[][] = [...field, field[0]!].map(() => []);
  let longest = 0;
  for (let round = 0; ; round++) {
    const began = performance.now() / 1e3;
    if (round >= (until < Number.POSITIVE_INFINITY ? MOST_ROUNDS : AIMED_ROUNDS)) break;
    if (round >= FEWEST_ROUNDS && began + longest > until) break;
    progress(`round ${round + 1}, ${rows} rows`);
    const order = [...entries.keys()];
    for (const n of round % 2 === 0 ? order : order.toReversed()) {
      const { batch, process: candidate } = entries[n]![1];
      rates[n]!.push(rows / (await candidate.run({ batch, rows })));
    }
    longest = Math.max(longest, performance.now() / 1e3 - began);
  }
  const peers = field.map(
    ({ name, batch, process: { version } }, n): PeerResult => ({
      ...{ name, version, batch },
      rowsPerSecond: estimate(rates[n]!),
      toFirst: ratioOf(rates[n]!, rates[0]!),
    }),
  );
  return { rows, peers, again: ratioOf(rates.at(-1)!, rates[0]!) };
}

/** The same rows for all: whole batches for each, and few enough for some rounds in the time. */
function rowsFor({ name, batches }: Subject, field: readonly Candidate[], left: number): number {
  const step = Math.max(...batches);
  const { batch } = field.find((each) => each.name === 'tandem') ?? field[0]!;
  const perRow = [...field, field[0]!].reduce((sum, { rate }) => sum + 1 / rate, 0);
  const whole = (rows: number) => Math.ceil(rows / step) * step;
  const least = whole(FEWEST_BATCHES * batch);
  if (FEWEST_ROUNDS * least * perRow > left) {
    const needed = Math.ceil(FEWEST_ROUNDS * least * perRow);
    throw new Error(
      `${name}: ${FEWEST_ROUNDS} rounds take ${needed} s, and ${Math.max(0, Math.floor(left))} s are left: give it --full`,
    );
  }
  return Math.max(least, Math.min(whole(ENOUGH_BATCHES * batch), whole(left / (AIMED_ROUNDS + 1) / perRow - step)));
}
