/** Allocation: the options of a topology with their costs, as a partition problem. */
import type { Replica } from '../../arena/replicas.js';
import { isCpu } from '../../engine/device.js';
import { defaultDepth, IN_HAND } from '../../plan/plan.js';
import { sum } from '../../sums.js';
import type { PlanRequest } from '../request.js';
import { stageCost } from './cost.js';
import { caseOf } from './interpolate.js';
import { layerTablesOf, type ProfiledModel } from './layer-tables.js';
import type { PartitionOption, PartitionProblem } from './partition-problem.js';
import { type Blocks, rotatingCost } from './rotating-cost.js';
import type { Rotation } from './rotation.js';
import { paceOfShares, shareMicroBatches } from './share.js';
import { coresOf, replicasOf, type StageOption } from './topology.js';

/** What is the same for all candidates of one search. */
export interface Search extends ProfiledModel {
  readonly request: Pick<PlanRequest, 'depth' | 'isolation' | 'rows'>;
  readonly cores: number;
  /** Set if a stage may rotate. */
  readonly blocks?: Blocks | undefined;
  /** Bytes of a device that stages without a budget of their own may use. */
  readonly free: (device: string) => number;
  /** Counts the work of the search, as in the partition problem. */
  readonly tally?: PartitionProblem['tally'];
}

/** An option with its costs. For replicas of a stage: the costs of all of them together. */
export interface CostedOption {
  readonly option: StageOption;
  /** Each replica of the stage; the option itself if there is one. */
  readonly replicas: readonly CostedOption[];
  /** Micro-batches that each replica takes in one round, if the stage holds layers [from, to). */
  readonly shares: (from: number, to: number) => readonly number[];
  readonly seconds: PartitionOption['seconds'];
  readonly work: PartitionOption['work'];
  /** Bytes that the stage's process holds besides slots. */
  readonly ownBytes: (from: number, to: number) => number;
  /** How it rotates with layers [from, to); `null` if it holds them. */
  readonly rotation: (from: number, to: number) => Rotation | null;
  readonly budget: number;
  /** Whether it holds slots: these lie in the machine's memory. */
  readonly onCpu: boolean;
  /** Whether it has no budget of its own and shares the free memory with other stages. */
  readonly isShared: boolean;
  /** Seconds of a message to a worker and back: micro-batches cannot follow one another faster. */
  readonly roundTrip: number;
  /** The same option with so many workers, if their number is open. */
  readonly sized: (workers: number) => CostedOption;
}

/** The cost of an option; `scales` has one entry for each replica. */
export function costOf(search: Search, option: StageOption, scales: readonly Scale[]): CostedOption {
  const replicas = replicasOf(option).map((each, n) => costOfOne(search, each, scales[n]!));
  return replicas.length === 1 ? replicas[0]! : costOfReplicas(option, replicas);
}

interface Scale {
  readonly seconds: number;
  readonly bytes: number;
}

function costOfReplicas(option: StageOption, replicas: readonly CostedOption[]): CostedOption {
  const areNamed = replicas.some((each) => each.option.turns !== undefined);
  const computed = new Map<string, readonly number[]>();
  const times = (from: number, to: number) => replicas.map(({ seconds }) => seconds(from, to));
  const shares = (from: number, to: number) => {
    if (areNamed) return replicas.map((each) => each.option.turns ?? 1);
    const key = `${from} ${to}`;
    const found = computed.get(key) ?? shareMicroBatches(times(from, to));
    computed.set(key, found);
    return found;
  };
  const own: CostedOption = {
    option,
    replicas,
    shares,
    seconds: (from, to) => paceOfShares(times(from, to), shares(from, to)),
    work: (from, to) => 1 / sum(replicas.map(({ work }) => 1 / work(from, to))),
    ownBytes: (from, to) => sum(replicas.map(({ ownBytes }) => ownBytes(from, to))),
    rotation: () => null,
    budget: sum(replicas.map(({ budget }) => budget)),
    onCpu: replicas.some(({ onCpu }) => onCpu),
    isShared: replicas.every(({ isShared }) => isShared),
    roundTrip: Math.max(...replicas.map(({ roundTrip }) => roundTrip)),
    sized: () => own,
  };
  return own;
}

function costOfOne(search: Search, option: StageOption, scale: Scale): CostedOption {
  const { profile, microBatch, free } = search;
  const measured = caseOf(profile, option, microBatch);
  const cost = stageCost(search, measured);
  const sizes: CostedOption[] = [];
  const [budget, onCpu, isShared] = [option.memory ?? free(option.device), isCpu(option.device), sharesMemory(option)];
  const sized = (workers: number) => {
    sizes[workers] ??= withWorkers(workers);
    return sizes[workers]!;
  };
  const withWorkers = (workers: number): CostedOption => {
    const rotating = rotatingCost(search, option, cost, { workers, scale: scale.bytes });
    const own: CostedOption = {
      option: { ...option, workers, mostWorkers: undefined },
      get replicas() {
        return [own];
      },
      shares: () => [1],
      seconds: (from, to) => ((cost.seconds(from, to) + rotating.seconds(from, to)) * scale.seconds) / workers,
      work: (from, to) => (cost.work(from, to) * scale.seconds) / workers,
      ownBytes: rotating.bytes,
      rotation: rotating.rotation,
      budget,
      onCpu,
      isShared,
      roundTrip: measured.roundTrip,
      sized: option.mostWorkers === undefined ? () => own : sized,
    };
    return own;
  };
  return { ...withWorkers(option.workers), option };
}

/** As an option of the partition problem. If the number of workers is open, its units are its workers; else it is one unit. */
export type SizedOption = CostedOption &
  PartitionOption & {
    /** Bytes that all its processes hold with one unit, slots included. */
    readonly bytes: (from: number, to: number) => number;
    /** The same for one of its replicas. */
    readonly held: (own: CostedOption, from: number, to: number) => number;
  };

export interface CostedProblem extends PartitionProblem {
  readonly stages: readonly (readonly SizedOption[])[];
}

/** The partition problem in which no stage has more than `most` workers, or the fewest that its options have; `depth` is the number of slots. */
export function problemOf(
  search: Search,
  costedStages: readonly (readonly CostedOption[])[],
  most: number,
  depth = depthOf(search, costedStages, most),
): CostedProblem {
  const { graph, cores, free, tally } = search;
  const few = withFew(costedStages, most);
  const { live, isCutPoint } = layerTablesOf(search);
  const slots = live.map((bytes) => depth * (bytes ?? 0));
  return {
    layers: graph.layers.length,
    stages: few.map((options) => options.map((each) => withSlots(each, slots, mostOf(each, most)))),
    // Stages whose threads and workers the user named may want more cores than there are.
    cores: Math.max(cores, sum(few.map((options) => Math.min(...options.map(({ option }) => coresOf(option)))))),
    legal: isCutPoint,
    memory: free('cpu'),
    tally,
  };
}

/** Slots that suffice if no stage has more than `most` workers. Fewer workers never need more. */
export function depthOf(search: Search, costedStages: readonly (readonly CostedOption[])[], most: number): number {
  const deepest = withFew(costedStages, most).map((options) =>
    Math.max(
      ...options.map((own) => defaultDepth(replicaShares(own.sized(mostOf(own, most)), 0, search.graph.layers.length))),
    ),
  );
  // Each stage's count includes the slots that the coordinator has in hand; they are needed once.
  return search.request.depth ?? Math.max(search.blocks?.slots ?? 0, sum(deepest) - IN_HAND * (deepest.length - 1));
}

/** Leaves out options with more workers, if others are left. */
function withFew(costedStages: readonly (readonly CostedOption[])[], most: number): CostedOption[][] {
  return costedStages.map((options) => {
    const limit = Math.max(most, Math.min(...options.map(({ option }) => workersOf(option))));
    return options.filter(({ option }) => workersOf(option) <= limit);
  });
}

function mostOf({ option }: CostedOption, most: number): number {
  return Math.max(1, Math.min(most, option.mostWorkers ?? 1));
}

/** Workers of all replicas; the fewest, if their number is open. */
export function workersOf(option: StageOption): number {
  return sum(replicasOf(option).map(({ workers }) => workers));
}

/** The replicas of an option that holds layers [from, to), with their shares. */
export function replicaShares(
  { replicas, shares: sharesOf }: CostedOption,
  from: number,
  to: number,
): (Replica & { readonly workers: number })[] {
  const shares = sharesOf(from, to);
  return replicas.map(({ option: { workers } }, n) =>
    replicas.length === 1 ? { workers } : { workers, turns: shares[n]!, ...(n > 0 ? { beside: true } : {}) },
  );
}

/** A process maps the regions of each slot that it reads and writes; in memory these exist once. A card holds no slots. */
function withSlots(costed: CostedOption, slots: readonly number[], most: number): SizedOption {
  const layers = slots.length - 1;
  const held = (own: CostedOption, from: number, to: number) =>
    own.ownBytes(from, to) + (own.onCpu ? slots[from]! + slots[to]! : 0);
  const slotBytes = (from: number, to: number) => slots[from]! + (to === layers ? slots[to]! : 0);
  // A stage without a budget of its own is held to the shared memory through `sharedBytes`.
  const fits = (own: CostedOption, from: number, to: number) => own.isShared || held(own, from, to) <= own.budget;
  const sharedOf = (own: CostedOption, from: number, to: number) => (own.isShared ? own.ownBytes(from, to) : 0);
  const isSingle = costed.replicas.length === 1;
  return {
    ...costed,
    bytes: (from, to) => sum(costed.replicas.map((own) => held(own, from, to))),
    held,
    cores: coresOf(costed.option),
    most,
    fits: (from, to, units) => {
      const own = costed.sized(units);
      return isSingle ? fits(own, from, to) : own.replicas.every((each) => fits(each, from, to));
    },
    sharedBytes: (from, to, units) => {
      const own = costed.sized(units);
      const bytes = isSingle ? sharedOf(own, from, to) : sum(own.replicas.map((each) => sharedOf(each, from, to)));
      return bytes + slotBytes(from, to);
    },
  };
}

/** Whether the stage has no budget of its own: such stages share the free memory. */
export function sharesMemory({ device, memory }: StageOption): boolean {
  return memory === undefined && isCpu(device);
}

export function withoutBudgets(problem: CostedProblem): CostedProblem {
  const stages = problem.stages.map((options) => options.map((option) => ({ ...option, fits: () => true })));
  return { ...problem, stages, memory: Number.POSITIVE_INFINITY };
}
