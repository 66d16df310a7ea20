/** The bench: opens the model in every layout that the machine has, finds the micro-batch and depth of each, and measures all of them, interleaved. */
import { otherLoad, readTicks } from '../machine/busy.js';
import type { Plan } from '../plan/plan.js';
import { caseResult, overlapOf } from './case-result.js';
import { keepRecommendation, plannedLayouts } from './kept-recommendation.js';
import { largestSize, type OpenLayout, type OpenOptions, openAll } from './open-layouts.js';
import { recommend } from './recommendation.js';
import type { BenchResult, CaseResult, SweepPoint } from './result.js';
import { casesOf, rounds } from './rounds.js';
import { rowIndependence } from './row-independence.js';
import { surroundingsOf } from './surroundings.js';
import { bestOf, type Candidate, sweepDepths, sweepSizes } from './sweep.js';
import { sweepBudgets } from './sweep-budgets.js';

export interface BenchOptions extends OpenOptions {
  /** Whether all ways are compared, as the planner would, so that each takes what the other has found. */
  readonly isOpen?: boolean;
  /** Gets one line about each step. */
  readonly onProgress?: (what: string) => void;
}

type Measured = Pick<BenchResult, 'cases' | 'overlap' | 'sweep' | 'skipped'> & {
  readonly fastest: string | null;
  /** Of each case. */
  readonly plans: ReadonlyMap<string, Plan>;
};

/** Shares of the time after which the sweeps are over. */
const SIZES_UNTIL = 0.45;
const DEPTHS_UNTIL = 0.55;

/** Throws what a pipeline throws when no layout runs at all; one of several that does not is skipped with its reason. */
export async function bench(asked: BenchOptions): Promise<BenchResult> {
  const startedAt = performance.now();
  const ticks = readTicks();
  const { graph, bank, isolation, deadlineMs, onProgress = () => {} } = asked;
  const batchInvariant = await rowIndependence(asked, onProgress);
  const isAlone = batchInvariant === false && graph.fixedBatch === null;
  // As a run would: each row by itself, unless other sizes are named.
  const microBatches = asked.microBatches ?? (isAlone ? [1] : undefined);
  const request = { rowSpecs: bank.specs, microBatch: isAlone ? 1 : undefined, isolation, deadlineMs };
  const layouts = asked.isOpen ? [...asked.layouts, ...plannedLayouts(graph, request)] : asked.layouts;
  const options = { ...asked, layouts, ...(microBatches ? { microBatches } : {}) };
  const { fastest, plans, ...measured } = await measure(options, isAlone);
  const busy = otherLoad(ticks, readTicks());
  if (options.budgets && fastest) {
    const { points, skipped } = await sweepBudgets(options, fastest, isAlone, onProgress);
    measured.sweep.budget.push(...points);
    measured.skipped.push(...skipped);
  }
  const { model, ...surroundings } = surroundingsOf(graph, bank.specs);
  const took = (performance.now() - startedAt) / 1e3;
  const verdict = recommend({ ...measured, machine: surroundings.machine });
  const best = measured.cases.find(({ name }) => name === verdict.best)!;
  if (asked.isOpen) keepRecommendation(graph, request, plans.get(best.name)!, best, busy);
  return {
    schema: 1,
    kind: 'tandem bench',
    ...surroundings,
    model: { ...model, batchInvariant, fixedBatch: graph.fixedBatch },
    seconds: { asked: options.seconds, took },
    ...measured,
    verdict,
  };
}

/** `isAlone`: of the sizes that are tried, that of one row is taken, however fast the others are. */
async function measure(options: BenchOptions, isAlone: boolean): Promise<Measured> {
  const startedAt = performance.now();
  const share = () => (performance.now() - startedAt) / 1e3 / options.seconds;
  const progress = options.onProgress ?? (() => {});
  const largest = await largestSize(options, progress);
  const { open, skipped } = await openAll(options, largest, progress);
  try {
    progress('finding the micro-batch …');
    const candidates = open.map(({ layout, trial }) => ({ name: layout.name, trial }));
    const sizes = await sweepSizes(candidates, { sizes: sizesOf(options), largest, late: () => share() > SIZES_UNTIL });
    const alone = isAlone ? sizes.filter(({ microBatch }) => microBatch === 1) : [];
    const suitable = alone.length > 0 ? alone : sizes;
    const splits = open.filter(({ layout }) => layout.kind === 'split');
    progress('finding the depth …');
    const fastest = bestSplit(splits, suitable);
    const depth = fastest
      ? await sweepDepths(fastest, suitable, { depths: options.depths, late: () => share() > DEPTHS_UNTIL })
      : [];
    const seconds = (1 - share()) * options.seconds;
    const cases = casesOf(open, { sizes: suitable, depths: depth, seconds });
    await rounds(cases, seconds, progress);
    const results: CaseResult[] = [];
    for (const measured of cases) results.push(await caseResult(measured, cases[0]!));
    const sweep = { microBatch: sizes, depth, budget: [] };
    const plans = new Map(cases.map(({ name, trial }) => [name, trial.plan]));
    return { cases: results, overlap: overlapIn(results), sweep, skipped, fastest: fastest?.name ?? null, plans };
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
  const sequential = fastest && cases[cases.indexOf(fastest) - 1];
  return fastest && sequential ? overlapOf(sequential, fastest) : null;
}

/** A model that fixes its batch is run at that and at nothing else. */
function sizesOf({ graph, microBatches }: BenchOptions): readonly number[] | undefined {
  return graph.fixedBatch === null ? microBatches : [graph.fixedBatch];
}
