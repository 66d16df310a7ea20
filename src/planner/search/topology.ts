/** Topologies: what a plan may look like before the model is cut: the number of stages, their devices, and the options of each stage. */
import { replicaGroupsOf } from '../../arena/replicas.js';
import { isOnePerProcess } from '../../engine/choose.js';
import { isCpu } from '../../engine/device.js';
import type { TandemError } from '../../errors.js';
import type { ModelGraph } from '../../model/graph.js';
import { type Alternative, resolveStages } from '../../plan/plan.js';
import { type KeptOptions, keptOptions, type StageOptions } from '../../plan/stage-options.js';
import type { Isolation } from '../../pool/isolation.js';
import { sum } from '../../sums.js';
import type { WantedAllocation } from '../measure/measure.js';
import { allocationKey } from '../measure/profile.js';
import type { Allocation } from '../measure/stopwatch.js';

/** One option of one stage: a device with its threads and workers. */
export interface StageOption extends KeptOptions {
  readonly device: string;
  readonly engine: string;
  readonly provider: string;
  readonly threads: number;
  /** The number of workers; if `mostWorkers` leaves it open, the fewest, which is 1. */
  readonly workers: number;
  readonly mostWorkers?: number | undefined;
  /** The allocation that is measured for it. */
  readonly allocation: Allocation;
  /** If this number of threads is not measured: the allocations with fewer and with more threads that are measured instead. */
  readonly between?: readonly [Allocation, Allocation] | undefined;
  /** Dropped if it cannot be measured: another option needs less. */
  readonly optional?: boolean;
  /** The other replicas of the stage, if there are any. */
  readonly otherReplicas?: readonly StageOption[] | undefined;
}

/** All replicas of the stage. */
export function replicasOf(option: StageOption): readonly StageOption[] {
  return [option, ...(option.otherReplicas ?? [])];
}

export interface Topology {
  /** For people: `2 stages: cpu, cpu`. */
  readonly name: string;
  /** For each stage, in order. */
  readonly stages: readonly (readonly StageOption[])[];
}

/** Stages on the CPU that are tried at most: more of them gain nothing over more workers. */
const MOST_CPU_STAGES = 4;

/** Workers of a stage on a card that are tried at most: while the card computes for one, the other's rows and results are copied. */
const MOST_CARD_WORKERS = 2;

/** The topology for the stages that a user named. A stage has one option if its threads or workers were named, else every option. */
export function namedTopologies(graph: ModelGraph, stages: readonly StageOptions[], cores: number): Topology[] {
  const resolved = resolveStages(graph, stages);
  const open = (stage: StageOptions) =>
    isCpu(stage.device) && stage.threads === undefined && stage.workers === undefined;
  const openStages = stages.filter(open).length;
  const cpuWorkers = resolved.reduce((sum, { device, workers }) => sum + (isCpu(device) ? workers : 0), 0);
  const replicaGroups = replicaGroupsOf(stages);
  const optionsOf = (j: number, isAlone: boolean): StageOption[] => {
    const stage = stages[j]!;
    const { engine, provider, threads, workers, device } = resolved[j]!;
    const base = { device, engine, provider, ...keptOptions(stage) };
    if (open(stage)) return isAlone ? cpuOptions(base, cores, openStages) : fixedOptions(base, cores, openStages);
    if (!isCpu(device) && stage.workers === undefined) return cardOptions(base, threads);
    const atOnce = isCpu(device) ? Math.max(1, Math.min(cpuWorkers, Math.floor(cores / threads))) : workers;
    return [{ ...base, threads, workers, allocation: { device, engine, provider, threads, atOnce } }];
  };
  const names = replicaGroups.map(({ stages: own }) => own.map((j) => stages[j]!.device).join(' + '));
  const options = replicaGroups.map(({ stages: own }) =>
    replicaOptions(own.map((j) => optionsOf(j, own.length === 1))),
  );
  return [{ name: nameOf(names), stages: options }];
}

/** The topologies that are tried if no stages are named: each device alone and all together, one stage or several, few workers or many. */
export function openTopologies(graph: ModelGraph, cards: readonly string[], cores: number): Topology[] {
  const base = (device: string) => {
    const { engine, provider } = resolveStages(graph, [{ device }])[0]!;
    return { device, engine, provider };
  };
  const topologies: Topology[] = cpuOptions(base('cpu'), cores, 1).map((option) => ({
    name: `1 stage: cpu, ${option.workers} x ${counted(option.threads, 'thread')}`,
    stages: [[option]],
  }));
  for (let n = 2; n <= Math.min(MOST_CPU_STAGES, cores, graph.layers.length); n++) {
    const devices = new Array<string>(n).fill('cpu');
    topologies.push({ name: nameOf(devices), stages: devices.map((device) => cpuOptions(base(device), cores, n)) });
  }
  for (const device of cards) {
    for (const option of cardOptions(base(device))) {
      const replicas = option.workers > 1 ? `, ${counted(option.workers, 'worker')}` : '';
      topologies.push({ name: `${nameOf([device])}${replicas}`, stages: [[option]] });
    }
  }
  const spare = Math.max(1, cores - cards.length);
  if (cards.length > 0 && graph.layers.length > 1) {
    const all = cards.map((device) => cardOptions(base(device)));
    const onCpu = cpuOptions(base('cpu'), spare, 1, cores);
    topologies.push({ name: nameOf([...cards, 'cpu']), stages: [...all, onCpu] });
    topologies.push({ name: nameOf(['cpu', ...cards]), stages: [onCpu, ...all] });
    if (cards.length > 1) topologies.push({ name: nameOf(cards), stages: all });
  }
  if (cards.length > 0) {
    const all = [...cards.map((device) => cardOptions(base(device))), cpuOptions(base('cpu'), spare, 1, cores)];
    topologies.push({ name: nameOf([[...cards, 'cpu'].join(' + ')]), stages: [replicaOptions(all)] });
  }
  return topologies;
}

/** All different allocations to measure for these topologies, at least one. The one with the most workers at once comes first, optional ones last. */
export function allocationsOf(topologies: readonly Topology[]): [WantedAllocation, ...WantedAllocation[]] {
  const wanted = new Map<string, WantedAllocation>();
  for (const { stages } of topologies) {
    for (const option of stages.flat().flatMap(replicasOf)) {
      for (const allocation of measuredAs(option)) {
        const key = allocationKey(allocation);
        const { wholeOnly = true, optional = true } = wanted.get(key) ?? {};
        wanted.set(key, {
          ...allocation,
          wholeOnly: stages.length === 1 && wholeOnly,
          optional: (option.optional ?? false) && optional,
        });
      }
    }
  }
  const order = (a: WantedAllocation, b: WantedAllocation) =>
    Number(a.optional) - Number(b.optional) || b.atOnce - a.atOnce;
  return [...wanted.values()].sort(order) as [WantedAllocation, ...WantedAllocation[]];
}

function measuredAs({ allocation, between }: StageOption): readonly Allocation[] {
  return between ?? [allocation];
}

/** Drops the options that could not be measured, and the topologies that have a stage without options then. */
export function measuredTopologies(
  topologies: readonly Topology[],
  missing: ReadonlyMap<string, TandemError>,
): { topologies: Topology[]; absent: Alternative[] } {
  const missingOf = (option: StageOption) =>
    measuredAs(option).find((allocation) => missing.has(allocationKey(allocation)));
  const isMissing = (option: StageOption) => missingOf(option) !== undefined;
  const measured: Topology[] = [];
  const absent: Alternative[] = [];
  for (const { name, stages } of topologies) {
    const left = stages.map((options) => options.filter((option) => !replicasOf(option).some(isMissing)));
    const firstMissing = stages
      .find((_, j) => left[j]!.length === 0)
      ?.flatMap(replicasOf)
      .find(isMissing);
    if (!firstMissing) measured.push({ name, stages: left });
    else absent.push({ name, rowsPerSecond: null, why: missing.get(allocationKey(missingOf(firstMissing)!))!.message });
  }
  return { topologies: measured, absent };
}

/** Cores that an option keeps busy. A stage on a card needs none. */
export function coresOf(option: StageOption): number {
  return sum(replicasOf(option).map(({ device, threads, workers }) => (isCpu(device) ? threads * workers : 0)));
}

/** Every combination of one option for each replica. Replicas with the same options get the same one. */
function replicaOptions(options: readonly (readonly StageOption[])[]): StageOption[] {
  const kinds = options.map((own) => JSON.stringify(own));
  const different = [...new Set(kinds)];
  const choices = different.reduce<StageOption[][]>(
    (before, kind) => {
      const own = options[kinds.indexOf(kind)]!;
      return before.flatMap((chosen) => own.map((option) => [...chosen, option]));
    },
    [[]],
  );
  return choices.map((chosen) => {
    const [first, ...others] = kinds.map((kind) => chosen[different.indexOf(kind)]!);
    return others.length === 0 ? first! : { ...first!, otherReplicas: others };
  });
}

/** Whether the stages' thread counts can be set: engines with a process-wide thread count need one process for each different count. */
export function sharesThreads(isolation: Isolation, options: readonly StageOption[]): boolean {
  return isolation === 'process' || new Set(options.map(({ threads }) => threads)).size === 1;
}

type Base = Omit<StageOption, 'threads' | 'workers' | 'allocation'>;

/**
 * All options of a stage on the CPU if `stages` stages share the cores. A stage that has them to itself gets as many workers as they can feed.
 * `machine`: all cores of the machine.
 */
function cpuOptions(base: Base, cores: number, stages: number, machine = cores): StageOption[] {
  return threadCounts(cores, stages).map((threads) => {
    const measured = measuredWith(base, threads, machine);
    if (stages === 1) return { ...base, ...measured, threads, workers: Math.max(1, Math.floor(cores / threads)) };
    return { ...base, ...measured, threads, workers: 1, mostWorkers: mostWorkers(cores, stages, threads) };
  });
}

/**
 * The same for one of several replicas: each number of workers is an option of its own. Only some numbers are tried, at most a factor of two
 * apart.
 */
function fixedOptions(base: Base, cores: number, stages: number): StageOption[] {
  return cpuOptions(base, cores, stages).flatMap(({ mostWorkers: most, ...option }) => {
    if (most === undefined) return [option];
    const fair = Math.max(1, Math.floor(cores / stages / option.threads));
    return [...new Set([...powersOfTwo(most), fair, most])].map((workers) => ({ ...option, workers }));
  });
}

/** With more stages than cores, each stage has one worker. */
function mostWorkers(cores: number, stages: number, threads: number): number {
  return Math.max(1, Math.floor((cores - stages + 1) / threads));
}

function threadCounts(cores: number, stages: number): number[] {
  const most = Math.max(1, Math.floor(cores / stages));
  return [...new Set([...powersOfTwo(most), most])];
}

/** Only a few numbers of threads are measured, however many cores there are. The others are interpolated. */
function measuredWith(
  { device, engine, provider }: Base,
  threads: number,
  cores: number,
): Pick<StageOption, 'allocation' | 'between'> {
  const as = (count: number): Allocation => {
    return { device, engine, provider, threads: count, atOnce: Math.max(1, Math.floor(cores / count)) };
  };
  const measured = measuredCounts(cores);
  const more = measured.findIndex((count) => count > threads);
  const isBetween = !measured.includes(threads) && more > 0;
  return { allocation: as(threads), ...(isBetween ? { between: [as(measured[more - 1]!), as(measured[more]!)] } : {}) };
}

/** With more cores than this, the measured numbers of threads grow by a factor of four. */
const MANY_CORES = 8;

/** The measured numbers of threads, ascending: all powers of two, or every other one and the largest that two workers can have; and all cores. */
function measuredCounts(cores: number): number[] {
  const powers = powersOfTwo(cores);
  const half = powersOfTwo(Math.max(1, Math.floor(cores / 2))).at(-1)!;
  const some = cores <= MANY_CORES ? powers : [...powers.filter((_, n) => n % 2 === 0 && 2 ** n <= half), half];
  return [...new Set([...some, cores])];
}

/** One worker, and two if a process can have two. Each holds the slice on the card. */
function cardOptions(base: Base, threads = 1): StageOption[] {
  const { device, engine, provider } = base;
  const most = isOnePerProcess(engine, provider) ? 1 : MOST_CARD_WORKERS;
  return Array.from({ length: most }, (_, n) => {
    const allocation = { device, engine, provider, threads, atOnce: n + 1 };
    return { ...base, threads, workers: n + 1, allocation, optional: n > 0 };
  });
}

function powersOfTwo(most: number): number[] {
  return Array.from({ length: Math.floor(Math.log2(most)) + 1 }, (_, n) => 2 ** n);
}

function nameOf(devices: readonly string[]): string {
  return `${counted(devices.length, 'stage')}: ${devices.join(', ')}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
