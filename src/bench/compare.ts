/** Compares a bench with an older one of the same model: cases that have become slower by more than the noise of both. */
import type { BenchResult, CaseResult } from './result.js';

export interface CaseChange {
  readonly name: string;
  readonly before: number;
  readonly now: number;
  /** Rows a second now over before. */
  readonly ratio: number;
  /** The noise: how far the ratio may be from 1 by chance. */
  readonly noise: number;
  readonly verdict: 'same' | 'faster' | 'slower';
}

export interface Comparison {
  readonly cases: readonly CaseChange[];
  /** Cases that only one of the two has. */
  readonly unmatched: readonly string[];
  /** Differences besides the code, because of which the figures cannot be compared. */
  readonly differences: readonly string[];
  readonly slower: boolean;
}

/** Two runs of a bench differ by this share even on an idle machine. */
const LEAST_NOISE = 0.03;

export function compare(before: BenchResult, now: BenchResult): Comparison {
  const older = new Map(before.cases.map((each) => [each.name, each]));
  const newer = new Set(now.cases.map(({ name }) => name));
  const cases = now.cases.flatMap((each) => {
    const old = older.get(each.name);
    return old ? [changeOf(old, each)] : [];
  });
  const unmatched = [
    ...now.cases.filter(({ name }) => !older.has(name)),
    ...before.cases.filter(({ name }) => !newer.has(name)),
  ].map(({ name }) => name);
  return {
    cases,
    unmatched,
    differences: differencesOf(before, now),
    slower: cases.some(({ verdict }) => verdict === 'slower'),
  };
}

function changeOf(old: CaseResult, now: CaseResult): CaseChange {
  const ratio = now.rowsPerSecond / old.rowsPerSecond;
  const noise = Math.max(LEAST_NOISE, old.spread + now.spread);
  const verdict = ratio < 1 - noise ? 'slower' : ratio > 1 / (1 - noise) ? 'faster' : 'same';
  return { name: now.name, before: old.rowsPerSecond, now: now.rowsPerSecond, ratio, noise, verdict };
}

function differencesOf(before: BenchResult, now: BenchResult): string[] {
  const facts: [string, unknown, unknown][] = [
    ['processor', before.machine.cpu, now.machine.cpu],
    ['cores', before.machine.cores, now.machine.cores],
    ['cards', before.machine.cards.join(', '), now.machine.cards.join(', ')],
    ['Node', before.machine.node, now.machine.node],
    ['bytes of weights', before.model.weightBytes, now.model.weightBytes],
    ['shape of a row', shapes(before), shapes(now)],
  ];
  return facts
    .filter(([, old, current]) => old !== current)
    .map(([what, old, current]) => `${what}: ${old}, now ${current}`);
}

function shapes({ model }: BenchResult): string {
  return model.inputs.map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`).join(' ');
}
