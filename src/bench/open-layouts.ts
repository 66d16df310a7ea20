/** Opens the model in every way that is to be compared, all at once, so that their runs can take turns. */
import { TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import { readMachine } from '../plan/machine.js';
import { makePlan } from '../plan/make-plan.js';
import { defaultDepth, type StageOptions } from '../plan/plan.js';
import type { ISOLATIONS } from '../pool/isolation.js';
import { modelBytes } from './case-result.js';
import type { Layout } from './layouts.js';
import type { BenchResult } from './result.js';
import type { RowBank } from './row-bank.js';
import { Trial } from './trial.js';

/** Rows that travel together at most, unless somebody asks for more. */
const LARGEST = 128;

export interface OpenOptions {
  readonly graph: ModelGraph;
  readonly bank: RowBank;
  /** What is compared; the first is the baseline. */
  readonly layouts: readonly Layout[];
  /** About how long the whole bench may take. */
  readonly seconds: number;
  /** To try these and no others. */
  readonly microBatches?: readonly number[];
  readonly depths?: readonly number[];
  /** Bytes that the first stage of the fastest split may hold, to try each of them. */
  readonly budgets?: readonly number[];
  readonly isolation?: (typeof ISOLATIONS)[number];
  /** Milliseconds that a micro-batch may take in a stage. */
  readonly deadline: number;
  readonly allowFallback: boolean;
}

export interface OpenLayout {
  readonly layout: Layout;
  readonly trial: Trial;
}

/** The largest micro-batch to try: one that takes no more than a sixtieth of the time. */
export async function largestSize(options: OpenOptions, say: (what: string) => void): Promise<number> {
  const { graph, microBatches, seconds } = options;
  if (graph.fixedBatch !== null) return graph.fixedBatch;
  if (microBatches) return Math.max(...microBatches);
  say('looking how fast the model is …');
  const small = 4;
  const whole = options.layouts.find(({ stages }) => stages.length === 1 && stages[0]!.device === 'cpu');
  const trial = await openTrial(options, whole ?? options.layouts[0]!, small, 2);
  try {
    // Engines are slow at first; what they come to is what counts.
    await trial.run({ rows: 4 * small, microBatch: small, depth: 2 });
    const { steadyRate } = await trial.run({ rows: 4 * small, microBatch: small, depth: 2 });
    const most = Math.max(1, Math.min(LARGEST, (steadyRate * seconds) / 60));
    return 2 ** Math.floor(Math.log2(most));
  } finally {
    await trial.close();
  }
}

/** Throws when none can be opened; one of several that cannot is skipped with its reason. */
export async function openAll(
  options: OpenOptions,
  largest: number,
  say: (what: string) => void,
): Promise<{ open: OpenLayout[]; skipped: BenchResult['skipped'] }> {
  const open: OpenLayout[] = [];
  const skipped: BenchResult['skipped'] = [];
  try {
    for (const layout of options.layouts) {
      say(`loading ${layout.name} …`);
      try {
        checkRoom(options.graph, layout);
        const depth = Math.max(...(options.depths ?? [0]), defaultDepth(layout.stages.map(workersOf)));
        open.push({ layout, trial: await openTrial(options, layout, largest, depth) });
      } catch (error) {
        if (!(error instanceof TandemError) || options.layouts.length === 1) throw error;
        skipped.push({ name: layout.name, reason: error.message });
      }
    }
  } catch (error) {
    await Promise.all(open.map(({ trial }) => trial.close()));
    throw error;
  }
  if (open.length > 0) return { open, skipped };
  throw new TandemError(
    'TANDEM_PLAN_IMPOSSIBLE',
    `the model runs in no way here; ${skipped[0]!.name}: ${skipped[0]!.reason}`,
    {
      remedy: 'see what is found with: tandem doctor',
    },
  );
}

/** All layouts are open at once, so that their runs can take turns. */
function checkRoom(graph: ModelGraph, { stages }: Layout): void {
  const copies = Math.max(...stages.map((stage) => workersOf(stage).workers));
  const needed = copies * modelBytes(graph);
  const { free } = readMachine().memory;
  if (needed < 0.7 * free) return;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new TandemError('TANDEM_OUT_OF_MEMORY', `its weights take ${gib(needed)} more, and ${gib(free)} are free`);
}

async function openTrial(options: OpenOptions, layout: Layout, microBatch: number, depth: number): Promise<Trial> {
  const { graph, bank, isolation, deadline, allowFallback } = options;
  const request = { stages: layout.stages, microBatch, depth, isolation, rowSpecs: bank.specs, deadline };
  const plan = await makePlan(graph, request);
  return Trial.open({ graph, plan, bank, deadline, allowFallback });
}

function workersOf({ workers = 1 }: StageOptions): { workers: number } {
  return { workers };
}
