/** Opens the model in every layout, all at once, so that their runs can be interleaved. */
import { TandemError } from '../errors.js';
import { readMachine } from '../machine/machine.js';
import type { ModelGraph } from '../model/graph.js';
import { defaultDepth } from '../plan/plan.js';
import type { StageOptions } from '../plan/stage-options.js';
import { makePlan } from '../planner/make-plan.js';
import { Trial } from '../planner/trial/trial.js';
import type { ISOLATIONS } from '../pool/isolation.js';
import { modelBytes } from './case-result.js';
import type { Layout } from './layouts.js';
import type { BenchResult } from './result.js';
import type { RowBank } from './row-bank.js';
import { takeSample } from './sample.js';

/** Rows of a micro-batch at most, unless more are asked for. */
const LARGEST = 128;

export interface OpenOptions {
  readonly graph: ModelGraph;
  readonly bank: RowBank;
  /** The layouts to compare; the first is the baseline. */
  readonly layouts: readonly Layout[];
  /** Approximate time of the whole bench. */
  readonly seconds: number;
  /** If given, only these are tried. */
  readonly microBatches?: readonly number[];
  readonly depths?: readonly number[];
  /** Memory budgets in bytes of the fastest split's first stage; each is tried. */
  readonly budgets?: readonly number[];
  readonly isolation?: (typeof ISOLATIONS)[number];
  /** Milliseconds that a micro-batch may take in a stage. */
  readonly deadlineMs: number;
  readonly allowFallback: boolean;
}

export interface OpenLayout {
  readonly layout: Layout;
  readonly trial: Trial;
}

/** The largest micro-batch to try: one takes at most a sixtieth of the time. */
export async function largestSize(options: OpenOptions, progress: (what: string) => void): Promise<number> {
  const { graph, microBatches, seconds } = options;
  if (graph.fixedBatch !== null) return graph.fixedBatch;
  if (microBatches) return Math.max(...microBatches);
  progress('measuring how fast the model is …');
  const small = 4;
  const whole = options.layouts.find(({ stages }) => stages.length === 1 && stages[0]!.device === 'cpu');
  const trial = await openTrial(options, whole ?? options.layouts[0]!, small, 2);
  try {
    // Engines are slow at first; the steady state counts.
    await takeSample(trial, { rows: 4 * small, microBatch: small, depth: 2 });
    const { steadyRate } = await takeSample(trial, { rows: 4 * small, microBatch: small, depth: 2 });
    const most = Math.max(1, Math.min(LARGEST, (steadyRate * seconds) / 60));
    return 2 ** Math.floor(Math.log2(most));
  } finally {
    await trial.close();
  }
}

/** Throws if none can be opened. One of several that cannot be opened is skipped with its reason. */
export async function openAll(
  options: OpenOptions,
  largest: number,
  progress: (what: string) => void,
): Promise<{ open: OpenLayout[]; skipped: BenchResult['skipped'] }> {
  const open: OpenLayout[] = [];
  const skipped: BenchResult['skipped'] = [];
  try {
    for (const layout of options.layouts) {
      progress(`loading ${layout.name} …`);
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
    `the model runs in no layout here; ${skipped[0]!.name}: ${skipped[0]!.reason}`,
    {
      remedy: 'this shows what works here: tandem doctor',
    },
  );
}

/** All layouts are open at once, so that their runs can be interleaved. */
function checkRoom(graph: ModelGraph, { stages }: Layout): void {
  const copies = Math.max(...stages.map((stage) => workersOf(stage).workers));
  const needed = copies * modelBytes(graph);
  const { free } = readMachine().memory;
  if (needed < 0.7 * free) return;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new TandemError('TANDEM_OUT_OF_MEMORY', `its weights take ${gib(needed)} more, and ${gib(free)} are free`);
}

/** Ready to run micro-batches of up to so many rows. Errors as of `makePlan` and `Trial.open`. */
export async function openTrial(
  options: OpenOptions,
  layout: Layout,
  microBatch: number,
  depth: number,
): Promise<Trial> {
  const { graph, bank, isolation, deadlineMs, allowFallback } = options;
  const request = { stages: layout.stages, microBatch, depth, isolation, rowSpecs: bank.specs, deadlineMs };
  const plan = await makePlan(graph, request);
  return Trial.open({ graph, plan, rows: bank, deadlineMs, allowFallback });
}

function workersOf({ workers = 1 }: StageOptions): { workers: number } {
  return { workers };
}
