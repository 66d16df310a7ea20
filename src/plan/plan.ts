/** The plan: the ordered stages, the micro-batch size and the depth. */
import { type Replica, replicaGroupsOf } from '../arena/replicas.js';
import { engineOf, type ForEngines, providerFor } from '../engine/choose.js';
import { deviceByNumber, isCpu, parseDevice } from '../engine/device.js';
import { TandemError } from '../errors.js';
import { readCores } from '../machine/machine.js';
import { isLegalCut } from '../model/cut.js';
import type { ModelGraph } from '../model/graph.js';
import type { Isolation } from '../pool/isolation.js';
import type { PoolOptions } from '../pool/pool.js';
import { checkTogether } from './budget.js';
import { cannotRotate, checkRotation } from './check-rotation.js';
import type { LengthPlan } from './length-plan.js';
import type { PreparingPlan } from './preparing-plan.js';
import { type KeptOptions, keptOptions, type LayerRange, type StageOptions } from './stage-options.js';

export interface StagePlan extends Replica, KeptOptions {
  readonly device: string;
  readonly engine: string;
  readonly provider: string;
  readonly threads: number;
  readonly workers: number;
  readonly layers: LayerRange;
  /** Ops [from, to) of the model graph. */
  readonly ops: LayerRange;
  /** If the stage computes its ops in several passes: consecutive ranges that cover them. */
  readonly passes?: readonly LayerRange[] | undefined;
  /** If the stage rotates: passes that stay loaded; of the others one is at a time. */
  readonly resident?: number | undefined;
  /** Whether its workers keep state for the rows: then a sequence group always meets the same worker. */
  readonly keepsState?: boolean | undefined;
}

export interface Plan {
  readonly stages: readonly StagePlan[];
  /** Rows of a micro-batch; where rows differ in length, the most that it may have. */
  readonly microBatch: number;
  /** How micro-batches are made of rows that differ in length; left out where all rows have one shape. */
  readonly lengths?: LengthPlan | undefined;
  /** How rows are prepared ahead of the stages; left out where nothing is. */
  readonly preparing?: PreparingPlan | undefined;
  /** Micro-batches in flight at most. */
  readonly depth: number;
  /** If a stage rotates: micro-batches that go through one pass before the next pass is loaded. */
  readonly block?: number | undefined;
  /** Whether the stages' workers are threads or processes. */
  readonly isolation: Isolation;
  /** How the cuts were chosen: named `layers`, measured times, or an estimate from FLOPs or weights. */
  readonly cutBy: CutBy;
  /** The expected times and memory, if it was measured. */
  readonly expected?: Expectation;
  /**
   * Whether a row's answer is the same whatever rows are in its micro-batch; `null` if that could not be determined. Left out if it does not
   * matter: micro-batches of one row.
   */
  readonly batchInvariant?: boolean | null;
  /** The builds of the engines that it was measured with, by provider. */
  readonly builds?: Readonly<Record<string, string>>;
}

export type CutBy = 'layers' | 'measured' | 'flops' | 'weights';

/** The time and memory that are expected of a plan. */
export interface Expectation {
  /** For people: `2 stages: cpu, cpu`. */
  readonly name: string;
  /** In the steady state: without filling and emptying the pipeline. */
  readonly rowsPerSecond: number;
  /**
   * Extra seconds of the first micro-batches of a run, all together: engines compile, and memory is touched for the first time. Left out if
   * the plan was not tried.
   */
  readonly start?: { readonly seconds: number; readonly microBatches: number };
  /** The share of the stages' time that they idle in the steady state. */
  readonly bubble: number;
  /** Seconds between two micro-batches that no cut on these devices could beat. */
  readonly lowerBound: number;
  /** Whether the plan was tried. Then the times were measured on the loaded pipeline, else they are estimated from the profile. */
  readonly verified: boolean;
  readonly stages: readonly ExpectedStage[];
  /** The share of the cores' time that other work took during the measurement; left out if unknown. */
  readonly busy?: number | undefined;
  /** The share by which repeated observations differ; left out if there was only one. */
  readonly noise?: number | undefined;
  /** The other plans that were considered, the best first. */
  readonly others?: readonly Alternative[];
}

export interface ExpectedStage {
  /** Seconds in which one worker computes a micro-batch. */
  readonly seconds: number;
  /** Peak bytes of the stage. */
  readonly bytes: number;
  /** Bytes that it may hold; `null` if nothing limits it. */
  readonly budget: number | null;
  readonly utilisation: number;
}

export interface Alternative {
  readonly name: string;
  /** `null` if it cannot run at all. */
  readonly rowsPerSecond: number | null;
  /** Why it was not chosen. */
  readonly why: string;
}

/** Rows of a micro-batch by default. */
export const DEFAULT_MICRO_BATCH = 32;

/** Engine, provider, threads and workers of each stage, before the model is cut. Throws TANDEM_USAGE, and TANDEM_PLAN_IMPOSSIBLE as of `checkTogether`. */
export function resolveStages(graph: ForEngines, stages: readonly StageOptions[]): Omit<StagePlan, 'layers' | 'ops'>[] {
  checkTogether(stages);
  checkRotation(stages);
  const onCpu = stages.filter(({ device }) => isCpu(device));
  const cpuWorkers = onCpu.reduce((sum, { workers }) => sum + (workers ?? 1), 0);
  const spare = stages.length > onCpu.length ? readCores() - 1 : readCores();
  const fairShare = Math.max(1, Math.floor(spare / Math.max(1, cpuWorkers)));
  return stages.map(({ device, provider, threads, workers = 1, beside, ...others }) => {
    const { id: engine, noRotation } = engineOf(graph, device, provider);
    if (noRotation && (others.rotate ?? 'never') !== 'never') throw cannotRotate(engine, noRotation);
    return {
      device: deviceByNumber(device),
      ...keptOptions(others),
      ...(beside ? { beside } : {}),
      engine,
      provider: providerFor(engine, device, provider),
      threads: threads ?? (isCpu(device) ? fairShare : 1),
      workers,
    };
  });
}

/** The options with which each stage's pool is opened. */
export function poolOptionsOf(
  stages: readonly Omit<StagePlan, 'layers' | 'ops'>[],
  { deadlineMs }: Pick<PoolOptions, 'deadlineMs'>,
): PoolOptions[] {
  return stages.map(({ engine, provider, threads, workers, device, memory }) => ({
    device,
    engine,
    engineOptions: {
      provider,
      threads,
      deviceIndex: parseDevice(device).index,
      ...(memory === undefined ? {} : { memory }),
    },
    workers,
    deadlineMs,
  }));
}

/**
 * Slots that the coordinator has in hand, emptying and filling them after a wake-up. With one slot less, each wake-up serves half as many
 * micro-batches (bench/README).
 */
export const IN_HAND = 2;

/**
 * The depth that keeps every worker busy: a micro-batch for each worker, one that waits for each stage, and the slots that the coordinator has
 * in hand. Outputs keep their order, so next to a slow replica there are slots for everything that the others finish meanwhile.
 */
export function defaultDepth(stages: readonly (Replica & { readonly workers: number })[]): number {
  const inGroups = replicaGroupsOf(stages).map(({ stages: own, roundRobin }) => {
    if (own.length === 1) return stages[own[0]!]!.workers;
    return Math.max(...own.map((j) => Math.ceil((roundRobin.length * stages[j]!.workers) / (stages[j]!.turns ?? 1))));
  });
  return inGroups.reduce((sum, busy) => sum + busy + 1, IN_HAND);
}

/** Threads that the stages on the CPU keep busy together, if these are more than the cores; else `null`. */
export function overload(
  stages: readonly Pick<StagePlan, 'device' | 'threads' | 'workers'>[],
  cores: number,
): number | null {
  const busy = stages.map(({ device, threads, workers }) => (isCpu(device) ? Math.min(threads, cores) * workers : 0));
  const threads = busy.reduce((total, each) => total + each, 0);
  return threads > cores ? threads : null;
}

/** The layers of each stage; `null` if none are named. Throws TANDEM_LAYERS_INVALID for gaps and overlaps, TANDEM_USAGE. */
export function rangesFromLayers(graph: ModelGraph, stages: readonly StageOptions[]): LayerRange[] | null {
  if (stages[0]?.beside) {
    throw new TandemError('TANDEM_USAGE', 'stage 0 cannot be a replica: there is no stage before it', {
      remedy: 'begin with a stage that stands alone, for example: --stage gpu+cpu',
    });
  }
  const replicaGroups = replicaGroupsOf(stages);
  const ranges = rangesOfGroups(
    graph,
    replicaGroups.map(({ stages: [first] }) => stages[first!]!),
  );
  return (
    ranges && replicaGroups.flatMap(({ stages: own }, n) => own.map((j) => checkSame(j, stages[j]!.layers, ranges[n]!)))
  );
}

function checkSame(stage: number, asked: LayerRange | undefined, { from, to }: LayerRange): LayerRange {
  if (asked && (asked.from !== from || asked.to !== to)) {
    throw invalidLayers(
      `stage ${stage} asks for layers ${asked.from}..${asked.to} and is a replica of a stage of ${from}..${to}`,
    );
  }
  return { from, to };
}

function rangesOfGroups(graph: ModelGraph, stages: readonly StageOptions[]): LayerRange[] | null {
  if (stages.every(({ layers }) => layers === undefined)) {
    return stages.length === 1 ? [{ from: 0, to: graph.layers.length - 1 }] : null;
  }
  const last = graph.layers.length - 1;
  const ranges = stages.map(({ layers }, j) => {
    const from = layers?.from ?? (j === 0 ? 0 : following(stages[j - 1]));
    const to = layers?.to ?? (j === stages.length - 1 ? last : preceding(stages[j + 1]));
    if (from === undefined || to === undefined) {
      throw invalidLayers(`stage ${j} has no layers=, and the layers= of its neighbours do not determine them`);
    }
    return { from, to };
  });
  for (const [j, { from, to }] of ranges.entries()) {
    if (from < 0 || to > last || from > to)
      throw invalidLayers(`stage ${j} asks for layers ${from}..${to}; the model has 0..${last}`);
    const expected = j === 0 ? 0 : ranges[j - 1]!.to + 1;
    if (from > expected) throw invalidLayers(`layers ${expected}..${from - 1} belong to no stage`);
    if (from < expected) throw invalidLayers(`layers ${from}..${expected - 1} belong to two stages`);
  }
  const end = ranges.at(-1)!.to;
  if (end !== last) throw invalidLayers(`layers ${end + 1}..${last} belong to no stage`);
  return ranges;
}

/**
 * Whether every stage has its layers named, so that nothing is left to measure. One stage without layers= is the whole model, but its threads
 * and workers are open.
 */
export function isSettled(graph: ModelGraph, stages: readonly StageOptions[] = []): boolean {
  const isOpen = replicaGroupsOf(stages).length === 1 && stages[0]!.layers === undefined;
  return stages.length > 0 && !isOpen && rangesFromLayers(graph, stages) !== null;
}

function following(before: StageOptions | undefined): number | undefined {
  return before?.layers && before.layers.to + 1;
}

function preceding(after: StageOptions | undefined): number | undefined {
  return after?.layers && after.layers.from - 1;
}

function invalidLayers(message: string): TandemError {
  return new TandemError('TANDEM_LAYERS_INVALID', message, {
    remedy: 'number the layers as this prints them: tandem inspect MODEL',
  });
}

/** Converts layer ranges to op ranges. Throws TANDEM_CUT_ILLEGAL if the model cannot be cut at a boundary. */
export function opsOf(graph: ModelGraph, ranges: readonly LayerRange[]): LayerRange[] {
  return ranges.map(({ from, to }) => {
    const first = graph.layers[from]!;
    if (from > 0 && !isLegalCut(graph, first.from)) {
      throw new TandemError('TANDEM_CUT_ILLEGAL', `the model cannot be cut before layer ${from} (${first.name})`, {
        remedy: 'take a boundary that this does not mark as forbidden: tandem inspect MODEL',
      });
    }
    return { from: first.from, to: graph.layers[to]!.to };
  });
}
