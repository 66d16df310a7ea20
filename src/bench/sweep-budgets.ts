/** The sweep of budgets: what a split comes to when its first device may hold less, each time with the plan that a run would make. */
import { TandemError } from '../errors.js';
import { settlePlan } from '../pipeline/settle-plan.js';
import { mebibytes } from '../plan/budget.js';
import type { OpenOptions } from './open-layouts.js';
import type { BenchResult, BudgetPoint } from './result.js';
import { shortRun } from './sweep.js';
import { Trial } from './trial.js';

type Found = { readonly points: BudgetPoint[]; readonly skipped: BenchResult['skipped'] };

/** Nothing else may be open: what is free is part of a plan. A budget that is too small is skipped with its reason. */
export async function sweepBudgets(options: OpenOptions, fastest: string, say: (what: string) => void): Promise<Found> {
  const layout = options.layouts.find(({ name }) => name === fastest)!;
  const points: BudgetPoint[] = [];
  const skipped: BenchResult['skipped'] = [];
  for (const memory of options.budgets ?? []) {
    const name = `${layout.name}, ${memory < 2 ** 20 ? `${memory} bytes` : mebibytes(memory)} in stage 0`;
    say(`planning ${name} …`);
    try {
      points.push({ layout: layout.name, ...(await measureWithin(memory, options, layout.stages)) });
    } catch (error) {
      if (!(error instanceof TandemError)) throw error;
      skipped.push({ name, reason: error.message });
    }
  }
  return { points, skipped };
}

async function measureWithin(
  memory: number,
  { graph, bank, isolation, deadline, allowFallback }: OpenOptions,
  asked: OpenOptions['layouts'][number]['stages'],
): Promise<Omit<BudgetPoint, 'layout'>> {
  const [first, ...rest] = asked.map((stage) => ({ ...stage, layers: undefined }));
  const stages = [{ ...first!, memory }, ...rest];
  const plan = await settlePlan(graph, { stages, isolation, rowSpecs: bank.specs, deadline, allowFallback });
  const trial = await Trial.open({ graph, plan, bank, deadline, allowFallback });
  try {
    const course = { microBatch: plan.microBatch, depth: plan.depth };
    const takes = [await shortRun(trial, course, true), await shortRun(trial, course, false)];
    const { layers } = plan.stages[0]!;
    const [held = null] = await trial.pipeline.peakRss();
    const promised = plan.expected?.stages[0]?.bytes ?? null;
    const rowsPerSecond = Math.max(...takes);
    return { memoryBytes: memory, layers, ...course, rowsPerSecond, promisedBytes: promised, heldBytes: held };
  } finally {
    await trial.close();
  }
}
