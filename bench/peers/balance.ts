/** A plan whose stages take the same time: the cut is moved by what the stages before took, until that no longer helps. */
import type { RowBank } from '../../src/bench/row-bank.js';
import { Trial } from '../../src/bench/trial.js';
import { isLegalCut } from '../../src/model/cut.js';
import type { ModelGraph } from '../../src/model/graph.js';
import { makePlan } from '../../src/plan/make-plan.js';
import type { LayerRange, Plan } from '../../src/plan/plan.js';
import type { Isolation } from '../../src/pool/isolation.js';

const MOVES = 3;

export interface Balance {
  readonly stages: number;
  readonly microBatch: number;
  readonly isolation: Isolation | undefined;
  readonly deadline: number;
}

export async function balancedPlan(graph: ModelGraph, bank: RowBank, options: Balance): Promise<Plan> {
  const { stages, ...rest } = options;
  const planFor = (ranges: readonly (LayerRange | undefined)[]) =>
    makePlan(graph, {
      ...rest,
      rowSpecs: bank.specs,
      stages: ranges.map((layers) => ({ device: 'cpu', threads: 1, layers })),
    });
  let best: { plan: Plan; slowest: number } | undefined;
  let plan = await planFor(Array.from({ length: stages }, () => undefined));
  for (let move = 0; move <= MOVES; move++) {
    const seconds = await stageSeconds(graph, bank, plan, options);
    const slowest = Math.max(...seconds);
    if (best && slowest >= best.slowest) break;
    best = { plan, slowest };
    plan = await planFor(evenRanges(graph, plan, seconds));
  }
  return best!.plan;
}

async function stageSeconds(
  graph: ModelGraph,
  bank: RowBank,
  plan: Plan,
  { microBatch, deadline }: Balance,
): Promise<readonly number[]> {
  const trial = await Trial.open({ graph, plan, bank, deadline, allowFallback: false });
  const course = { microBatch, depth: plan.depth, rows: 4 * microBatch };
  await trial.run(course);
  const { stageSeconds: seconds } = await trial.run(course);
  await trial.close();
  return seconds;
}

/** Each layer takes an even part of its stage's seconds; stages begin at the legal cuts nearest to even sums. */
function evenRanges({ layers, ...graph }: ModelGraph, plan: Plan, seconds: readonly number[]): LayerRange[] {
  let sum = 0;
  const ends = plan.stages.flatMap(({ layers: { from, to } }, j) =>
    layers.slice(from, to + 1).map(() => {
      sum += seconds[j]! / (to - from + 1);
      return sum;
    }),
  );
  const starts = [0];
  for (let j = 1; j < plan.stages.length; j++) {
    const wanted = (sum * j) / plan.stages.length;
    const legal = layers.filter(({ index, from }) => index > starts.at(-1)! && isLegalCut({ layers, ...graph }, from));
    const nearest = legal.toSorted(
      (a, b) => Math.abs(ends[a.index - 1]! - wanted) - Math.abs(ends[b.index - 1]! - wanted),
    );
    starts.push(nearest[0]!.index);
  }
  return starts.map((from, j) => ({ from, to: (starts[j + 1] ?? layers.length) - 1 }));
}
