/** The sweep of budgets: the rate of a split for several budgets of its first device, each with the plan that a run would make. */
import { TandemError } from '../errors.js';
import { mebibytes } from '../plan/budget.js';
import { settlePlan } from '../planner/settle.js';
import { Trial } from '../planner/trial/trial.js';
import type { OpenOptions } from './open-layouts.js';
import type { BenchResult, BudgetPoint } from './result.js';
import { SHORT_RUN } from './sweep.js';

type Found = { readonly points: BudgetPoint[]; readonly skipped: BenchResult['skipped'] };

/** No other pipeline may be open, because a plan depends on the free memory. `isAlone`: micro-batches of one row. A budget that is too small is skipped with its reason. */
export async function sweepBudgets(
  options: OpenOptions,
  fastest: string,
  isAlone: boolean,
  progress: (what: string) => void,
): Promise<Found> {
  const layout = options.layouts.find(({ name }) => name === fastest)!;
  const points: BudgetPoint[] = [];
  const skipped: BenchResult['skipped'] = [];
  for (const memory of options.budgets ?? []) {
    const name = `${layout.name}, ${memory < 2 ** 20 ? `${memory} bytes` : mebibytes(memory)} in stage 0`;
    progress(`planning ${name} …`);
    try {
      points.push({ layout: layout.name, ...(await measureWithin(memory, options, layout.stages, isAlone)) });
    } catch (error) {
      if (!(error instanceof TandemError)) throw error;
      skipped.push({ name, reason: error.message });
    }
  }
  return { points, skipped };
}

async function measureWithin(
  memory: number,
  { graph, bank, isolation, deadlineMs, allowFallback }: OpenOptions,
  asked: OpenOptions['layouts'][number]['stages'],
  isAlone: boolean,
): Promise<Omit<BudgetPoint, 'layout'>> {
  const [first, ...rest] = asked.map((stage) => ({ ...stage, layers: undefined }));
  const stages = [{ ...first!, memory }, ...rest];
  const microBatch = isAlone ? 1 : undefined;
  const plan = await settlePlan(graph, {
    stages,
    microBatch,
    isolation,
    rowSpecs: bank.specs,
    deadlineMs,
    allowFallback,
  });
  const trial = await Trial.open({ graph, plan, rows: bank, deadlineMs, allowFallback });
  try {
    const workload = { microBatch: plan.microBatch, depth: plan.depth };
    const takes = [await trial.pace(workload, SHORT_RUN, 2), await trial.pace(workload, SHORT_RUN)];
    const { layers } = plan.stages[0]!;
    const [held = null] = await trial.pipeline.peakRss();
    const promised = plan.expected?.stages[0]?.bytes ?? null;
    const rowsPerSecond = Math.max(...takes);
    return { memoryBytes: memory, layers, ...workload, rowsPerSecond, promisedBytes: promised, heldBytes: held };
  } finally {
    await trial.close();
  }
}
