/** The plan: the ordered stages, the micro-batch size and the depth. */
import { sectionsOf, type Taking } from '../arena/turns.js';
import type { EngineName } from '../engine/engine.js';
import { engineFor, isCpu, parseDevice, providerFor } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import { isLegalCut } from '../model/cut.js';
import type { ModelGraph } from '../model/graph.js';
import type { Isolation } from '../pool/isolation.js';
import type { PoolOptions } from '../pool/pool.js';
import { readMachine } from './machine.js';

/** Layers by the numbers that `tandem inspect` prints, both included. */
export interface LayerRange {
  readonly from: number;
  readonly to: number;
}

/** What a person says of a stage; everything but the device may be left to tandem. */
export interface StageOptions {
  /** `cpu`, `gpu`, `gpu:1`. */
  readonly device: string;
  readonly layers?: LayerRange;
  /** Threads inside one op. Default: the cores, shared evenly among the workers of all CPU stages. */
  readonly threads?: number;
  /** Workers that each hold the slice and run micro-batches side by side. Default 1. */
  readonly workers?: number;
  readonly provider?: string;
  /** Bytes that the stage may hold. */
  readonly memory?: number;
  /** It computes the same layers as the stage before it: they take micro-batches in turn. */
  readonly beside?: boolean;
  /** Of each round of micro-batches so many are its own. Default: by how fast the stages beside each other are. */
  readonly turns?: number;
}

export interface StagePlan extends Taking {
  readonly device: string;
  readonly engine: EngineName;
  readonly provider: string;
  readonly threads: number;
  readonly workers: number;
  /** Bytes that the user lets the stage hold. */
  readonly memory?: number | undefined;
  readonly layers: LayerRange;
  /** Ops [from, to) of the model graph. */
  readonly ops: LayerRange;
}

export interface Plan {
  readonly stages: readonly StagePlan[];
  /** Rows of a micro-batch. */
  readonly microBatch: number;
  /** Micro-batches in flight at most. */
  readonly depth: number;
  /** Where the stages' workers live. */
  readonly isolation: Isolation;
  /** Where the cuts come from: the user's `layers`, measured times, or the FLOPs of each layer, which are an estimate of its time. */
  readonly cutBy: CutBy;
  /** What it is to do, where it was measured. */
  readonly expected?: Expectation;
  /** The builds of the engines that it was measured with, by provider. */
  readonly builds?: Readonly<Record<string, string>>;
}

export type CutBy = 'layers' | 'measured' | 'flops' | 'weights';

/** What a plan promises. */
export interface Expectation {
  /** For people: `2 stages: cpu, cpu`. */
  readonly name: string;
  /** In the steady state: filling and emptying the pipeline apart. */
  readonly rowsPerSecond: number;
  /** What the first micro-batches of a run take longer, all together: engines compile, and memory is touched for the first time. Where it was tried. */
  readonly start?: { readonly seconds: number; readonly microBatches: number };
  /** The share of the stages' time that they wait in the steady state. */
  readonly bubble: number;
  /** Seconds between two micro-batches that no cut with these devices could beat. */
  readonly lowerBound: number;
  /** Whether it was tried: the times are then those of the loaded pipeline, else they are reckoned from the profile. */
  readonly verified: boolean;
  readonly stages: readonly ExpectedStage[];
  /** What else was considered, the best first. */
  readonly others?: readonly Rival[];
}

export interface ExpectedStage {
  /** Seconds in which one worker computes a micro-batch. */
  readonly seconds: number;
  /** Bytes that the stage holds at most. */
  readonly bytes: number;
  /** Bytes that it may hold; `null` where nothing limits it. */
  readonly budget: number | null;
  readonly utilisation: number;
}

export interface Rival {
  readonly name: string;
  /** `null` when it cannot run at all. */
  readonly rowsPerSecond: number | null;
  /** Why it was not taken. */
  readonly why: string;
}

/** Rows that travel together unless somebody says otherwise. */
export const DEFAULT_MICRO_BATCH = 32;

/** The stages that are taken when none are named: two on the CPU where it has two cores to give. */
export function defaultStages(): StageOptions[] {
  return readMachine().cores >= 2 ? [{ device: 'cpu' }, { device: 'cpu' }] : [{ device: 'cpu' }];
}

/** Engine, provider, threads and workers of each stage, before the model is cut. Throws TANDEM_USAGE. */
export function resolveStages(
  { format }: Pick<ModelGraph, 'format'>,
  stages: readonly StageOptions[],
): Omit<StagePlan, 'layers' | 'ops'>[] {
  const engineOf = (provider: string | undefined) => (provider === 'custom' ? 'custom' : engineFor(format));
  const onCpu = stages.filter(({ device }) => isCpu(device));
  const cpuWorkers = onCpu.reduce((sum, { workers }) => sum + (workers ?? 1), 0);
  const spare = stages.length > onCpu.length ? readMachine().cores - 1 : readMachine().cores;
  const fairShare = Math.max(1, Math.floor(spare / Math.max(1, cpuWorkers)));
  return stages.map(({ device, provider, threads, workers = 1, memory, beside, turns }) => ({
    device,
    memory,
    ...(beside ? { beside } : {}),
    ...(turns === undefined ? {} : { turns }),
    engine: engineOf(provider),
    provider: providerFor(engineOf(provider), device, provider),
    threads: threads ?? (isCpu(device) ? fairShare : 1),
    workers,
  }));
}

/** What each stage's pool is opened with. */
export function poolOptionsOf(
  stages: readonly Omit<StagePlan, 'layers' | 'ops'>[],
  { deadline }: Pick<PoolOptions, 'deadline'>,
): PoolOptions[] {
  return stages.map(({ engine, provider, threads, workers, device }) => ({
    device,
    engine,
    engineOptions: { provider, threads, deviceIndex: parseDevice(device).index },
    workers,
    deadline,
  }));
}

/** Slots that the coordinator empties and fills when it is woken: with one less it is woken for half as many micro-batches at a time (bench/README). */
export const IN_HAND = 2;

/**
 * Depth that keeps every worker busy: what it computes and what waits for it, and the slots that the coordinator has in hand. Beside
 * a slow stage all those must have room that the others compute in the meantime, since the output keeps the order.
 */
export function defaultDepth(stages: readonly (Taking & { readonly workers: number })[]): number {
  const inSections = sectionsOf(stages).map(({ stages: own, order }) => {
    if (own.length === 1) return stages[own[0]!]!.workers;
    return Math.max(...own.map((j) => Math.ceil((order.length * stages[j]!.workers) / (stages[j]!.turns ?? 1))));
  });
  return inSections.reduce((sum, busy) => sum + busy + 1, IN_HAND);
}

/** The layers of each stage; `null` where nobody named any. Throws TANDEM_LAYERS_INVALID on holes and overlaps, TANDEM_USAGE. */
export function rangesFromLayers(graph: ModelGraph, stages: readonly StageOptions[]): LayerRange[] | null {
  if (stages[0]?.beside) {
    throw new TandemError('TANDEM_USAGE', 'stage 0 has no stage before it to stand beside', {
      remedy: 'begin with a stage that stands alone, for example: --stage gpu+cpu',
    });
  }
  const sections = sectionsOf(stages);
  const ranges = rangesOfSections(
    graph,
    sections.map(({ stages: [first] }) => stages[first!]!),
  );
  return (
    ranges && sections.flatMap(({ stages: own }, n) => own.map((j) => checkSame(j, stages[j]!.layers, ranges[n]!)))
  );
}

function checkSame(stage: number, asked: LayerRange | undefined, { from, to }: LayerRange): LayerRange {
  if (asked && (asked.from !== from || asked.to !== to)) {
    throw invalidLayers(`stage ${stage} asks for layers ${asked.from}..${asked.to} beside one of ${from}..${to}`);
  }
  return { from, to };
}

function rangesOfSections(graph: ModelGraph, stages: readonly StageOptions[]): LayerRange[] | null {
  if (stages.every(({ layers }) => layers === undefined)) {
    return stages.length === 1 ? [{ from: 0, to: graph.layers.length - 1 }] : null;
  }
  const last = graph.layers.length - 1;
  const ranges = stages.map(({ layers }, j) => {
    const from = layers?.from ?? (j === 0 ? 0 : following(stages[j - 1]));
    const to = layers?.to ?? (j === stages.length - 1 ? last : preceding(stages[j + 1]));
    if (from === undefined || to === undefined) {
      throw invalidLayers(`stage ${j} has no layers=, and its neighbours do not tell them either`);
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

/** Whether every stage has its layers named, so that nothing is left to measure. One stage without layers= is the whole model, but how it is staffed is open. */
export function isSettled(graph: ModelGraph, stages: readonly StageOptions[] = []): boolean {
  const isOpen = sectionsOf(stages).length === 1 && stages[0]!.layers === undefined;
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

/** Layer ranges as op ranges. Throws TANDEM_CUT_ILLEGAL where a boundary would divide what must stay together. */
export function opsOf(graph: ModelGraph, ranges: readonly LayerRange[]): LayerRange[] {
  return ranges.map(({ from, to }) => {
    const first = graph.layers[from]!;
    if (from > 0 && !isLegalCut(graph, first.from)) {
      throw new TandemError('TANDEM_CUT_ILLEGAL', `the model cannot be cut before layer ${from} (${first.name})`, {
        remedy: 'take a boundary that is not marked as sealed by: tandem inspect MODEL',
      });
    }
    return { from: first.from, to: graph.layers[to]!.to };
  });
}
