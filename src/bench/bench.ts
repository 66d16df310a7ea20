/** The bench: opens the model in every way that the machine has, finds what suits each, and then measures all of them in turn. */
import { caseResult, overlapOf } from './case-result.js';
import { largestSize, type OpenLayout, type OpenOptions, openAll } from './open-layouts.js';
import type { BenchResult, CaseResult, SweepPoint } from './result.js';
import { casesOf, rounds } from './rounds.js';
import { surroundingsOf } from './surroundings.js';
import { bestOf, type Candidate, sweepDepths, sweepSizes } from './sweep.js';
import { sweepBudgets } from './sweep-budgets.js';
import { verdictOf } from './verdict.js';

export interface BenchOptions extends OpenOptions {
  /** Told in a line what is being done. */
  readonly onProgress?: (what: string) => void;
}

type Measured = Pick<BenchResult, 'cases' | 'overlap' | 'sweep' | 'skipped'> & { readonly fastest: string | null };

/** Shares of the time after which the sweeps are over. */
const SIZES_UNTIL = 0.45;
const DEPTHS_UNTIL = 0.55;

/** Throws what a pipeline throws when no layout runs at all; one of several that does not is skipped with its reason. */
export async function bench(options: BenchOptions): Promise<BenchResult> {
  const startedAt = performance.now();
  const { fastest, ...measured } = await measure(options);
  if (options.budgets && fastest) {
    const { points, skipped } = await sweepBudgets(options, fastest, options.onProgress ?? (() => {}));
    measured.sweep.budget.push(...points);
    measured.skipped.push(...skipped);
  }
  const surroundings = surroundingsOf(options.graph, options.bank.specs);
  const took = (performance.now() - startedAt) / 1e3;
  return {
    schema: 1,
    kind: 'tandem bench',
    ...surroundings,
    seconds: { asked: options.seconds, took },
    ...measured,
    verdict: verdictOf({ ...measured, machine: surroundings.machine }),
  };
}

async function measure(options: BenchOptions): Promise<Measured> {
  const startedAt = performance.now();
  const share = () => (performance.now() - startedAt) / 1e3 / options.seconds;
  const say = options.onProgress ?? (() => {});
  const largest = await largestSize(options, say);
  const { open, skipped } = await openAll(options, largest, say);
  try {
    say('finding the micro-batch …');
    const candidates = open.map(({ layout, trial }) => ({ name: layout.name, trial }));
    const sizes = await sweepSizes(candidates, { sizes: sizesOf(options), largest, late: () => share() > SIZES_UNTIL });
    const splits = open.filter(({ layout }) => layout.kind === 'split');
    say('finding the depth …');
    const fastest = bestSplit(splits, sizes);
    const depth = fastest
      ? await sweepDepths(fastest, sizes, { depths: options.depths, late: () => share() > DEPTHS_UNTIL })
      : [];
    const seconds = (1 - share()) * options.seconds;
    const cases = casesOf(open, { sizes, depths: depth, seconds });
    await rounds(cases, seconds, say);
    const results: CaseResult[] = [];
    for (const measured of cases) results.push(await caseResult(measured, cases[0]!));
    const sweep = { microBatch: sizes, depth, budget: [] };
    return { cases: results, overlap: overlapIn(results), sweep, skipped, fastest: fastest?.name ?? null };
  } finally {
    await Promise.all(open.map(({ trial }) => trial.close()));
  }
}

function bestSplit(splits: readonly OpenLayout[], points: readonly SweepPoint[]): Candidate | null {
  const candidates = splits.map(({ layout, trial }) => ({ name: layout.name, trial }));
  const rate = ({ name }: Candidate) => bestOf(points, name).rowsPerSecond;
  return candidates.toSorted((a, b) => rate(b) - rate(a))[0] ?? null;
}

/** The split that is fastest, against itself one stage at a time. */
function overlapIn(cases: readonly CaseResult[]): Measured['overlap'] {
  const fastest = cases
    .filter(({ kind }) => kind === 'pipelined')
    .toSorted((a, b) => b.rowsPerSecond - a.rowsPerSecond)[0];
  const inTurn = fastest && cases[cases.indexOf(fastest) - 1];
  return fastest && inTurn ? overlapOf(inTurn, fastest) : null;
}

/** A model that fixes its batch is run at that and at nothing else. */
function sizesOf({ graph, microBatches }: BenchOptions): readonly number[] | undefined {
  return graph.fixedBatch === null ? microBatches : [graph.fixedBatch];
}
