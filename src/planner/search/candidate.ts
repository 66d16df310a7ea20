/** A candidate: a topology with its best cut and the estimate of its time and memory. */
import { engineBuild } from '../../engine/choose.js';
import { isCpu, parseDevice } from '../../engine/device.js';
import type { ModelGraph } from '../../model/graph.js';
import { type Requirement, sharedOnCards } from '../../plan/budget.js';
import { defaultDepth, opsOf, type Plan, type StagePlan } from '../../plan/plan.js';
import { keptOptions } from '../../plan/stage-options.js';
import { settleThreads } from '../../pool/environment.js';
import { sum } from '../../sums.js';
import { isolationFor } from '../make-plan.js';
import {
  type CostedOption,
  type CostedProblem,
  costOf,
  depthOf,
  problemOf,
  replicaShares,
  type Search,
  withoutBudgets,
  workersOf,
} from './allocation.js';
import { type CooperativeSteps, runToEnd } from './cooperative.js';
import { stageCost } from './cost.js';
import { caseOf } from './interpolate.js';
import { layerTablesOf } from './layer-tables.js';
import { GOOD_ENOUGH, lowerBound, type Partition, partitionSteps } from './partition.js';
import { requirementOf } from './requirement.js';
import type { Blocks } from './rotating-cost.js';
import { blockFor, type Rotation } from './rotation.js';
import { replicasOf, sharesThreads, type Topology } from './topology.js';

export interface Candidate {
  readonly topology: Topology;
  /** `null` when no cut fits the budgets. */
  readonly plan: Plan | null;
  /** Rows a second of the best cut with unlimited memory. */
  readonly unlimited: number;
  /** The least memory that suffices. */
  readonly requirement: Requirement;
}

/** For each stage, the measured seconds and bytes as multiples of what the profile predicts. */
export interface Scales {
  readonly seconds?: readonly number[];
  readonly bytes?: readonly number[];
}

/** The best cut of a topology within the budgets. */
export function candidateOf(search: Search, topology: Topology, scales?: Scales): Candidate {
  return runToEnd(candidateSteps(search, topology, scales));
}

/** `candidateOf` as cooperative steps. */
export function* candidateSteps(alone: Search, topology: Topology, scales: Scales = {}): CooperativeSteps<Candidate> {
  const search: Search = {
    ...alone,
    blocks: blocksOf(alone, topology),
    free: sharedOnCards(
      alone.free,
      topology.stages.flatMap(([option]) => replicasOf(option!)),
    ),
  };
  const { microBatch } = search;
  let stage = 0;
  const costed = topology.stages.map((options) => {
    const own = replicasOf(options[0]!).map((_, n) => ({
      seconds: scales.seconds?.[stage + n] ?? 1,
      bytes: scales.bytes?.[stage + n] ?? 1,
    }));
    stage += own.length;
    return options.map((option) => costOf(search, option, own));
  });
  // More workers need more slots, so a plan with fewer workers may fit where one with more does not.
  const counts = countsOf(topology);
  const problems = counts.map((most) => problemOf(search, costed, most));
  const unlimited = yield* partitionSteps(withoutBudgets(problems[0]!));
  const easiest = () => problemOf(search, costed, counts[0]!, depthOf(search, costed, counts.at(-1)!));
  const best = yield* bestWithin(problems, unlimited, easiest);
  let requirement: Requirement | undefined;
  return {
    topology,
    plan: best && planOf(search, topology, best.problem, best.found),
    unlimited: unlimited ? microBatch / intervalOf(search, problems[0]!, unlimited) : 0,
    // Computed on demand: most candidates fit, and nobody reads it.
    get requirement() {
      // Fewer workers never need more.
      requirement ??= requirementOf(problems.at(-1)!);
      return requirement;
    },
  };
}

/** `undefined` if no stage may rotate. */
function blocksOf(search: Search, { stages }: Topology): Blocks | undefined {
  const option = stages.flat().find(({ rotate = 'never' }) => rotate !== 'never');
  if (!option) return undefined;
  const { graph, profile, microBatch, request } = search;
  const cost = stageCost(search, caseOf(profile, option, microBatch));
  const { weights, mostLive } = layerTablesOf(search);
  const layers = graph.layers.length;
  const loadSeconds = weights(0, layers) * cost.loadSecondsPerByte;
  const blocks = stages.length + 1;
  const inMemory = (BLOCK_SHARE * option.memory!) / (blocks * 2 * Math.max(1, mostLive(0, layers)));
  const inJob = request.rows == null ? Number.POSITIVE_INFINITY : Math.ceil(request.rows / microBatch);
  const inDepth = (request.depth ?? Number.POSITIVE_INFINITY) / blocks;
  const size = blockFor({ seconds: cost.seconds(0, layers), loadSeconds }, Math.min(inMemory, inJob, inDepth));
  return { size, slots: request.depth ?? size * blocks };
}

/** The share of a stage's budget that the slots of its blocks may take. */
const BLOCK_SHARE = 0.25;

/** Upper limits on a stage's workers to try, descending: every number if they are few, else by halves. */
function countsOf({ stages }: Topology): number[] {
  const most = Math.max(...stages.flat().map((option) => option.mostWorkers ?? workersOf(option)));
  const least = Math.min(...stages.flat().map(workersOf));
  const counts: number[] = [];
  for (let count = most; count > least; count = count <= TRY_EVERY ? count - 1 : Math.ceil(count / 2))
    counts.push(count);
  return [...counts, least];
}

/** Up to this number of workers every number is tried. */
const TRY_EVERY = 8;

interface Found {
  readonly problem: CostedProblem;
  readonly found: Partition;
}

/**
 * The fastest partition of `problems` within the budgets. `unlimited` is the best partition without budgets, or null if there is none.
 * `easiest` combines the workers of the first problem with the slots of the last: a pace that is impossible there is impossible in all of
 * them.
 */
function* bestWithin(
  problems: readonly CostedProblem[],
  unlimited: Partition | null,
  easiest: () => CostedProblem,
): CooperativeSteps<Found | null> {
  const [first, last] = [problems[0]!, problems.at(-1)!];
  if (unlimited && keepsBudgets(first, unlimited)) return { problem: first, found: unlimited };
  // Fewer workers never need more.
  const least = yield* partitionSteps(last, { quick: problems.length > 1 });
  if (!least || problems.length === 1) return least && { problem: last, found: least };
  const quick = yield* fasterOf(problems.slice(0, -1), { problem: last, found: least }, unlimited, true);
  if (quick.found.slowest === unlimited?.slowest) return quick;
  const toBeat = quick.found.slowest * GOOD_ENOUGH;
  const mayBeFaster = yield* partitionSteps(easiest(), { toBeat });
  return mayBeFaster ? yield* fasterOf(problems, quick, unlimited, false) : quick;
}

function* fasterOf(
  problems: readonly CostedProblem[],
  known: Found,
  unlimited: Partition | null,
  quick: boolean,
): CooperativeSteps<Found> {
  let best = known;
  for (const problem of problems) {
    if (best.found.slowest === unlimited?.slowest) break;
    const found: Partition | null = yield* partitionSteps(problem, { toBeat: best.found.slowest, quick });
    if (found) best = { problem, found };
  }
  return best;
}

function keepsBudgets(problem: CostedProblem, found: Partition): boolean {
  const stages = chosen(problem, found);
  const memory = sum(stages.map(({ costed, units, from, to }) => costed.sharedBytes(from, to, units)));
  return memory <= problem.memory && stages.every(({ costed, units, from, to }) => costed.fits(from, to, units));
}

/** The stages of a partition, each with its option, its layers [from, to) and its workers. */
function chosen({ stages, layers }: CostedProblem, { starts, allocations }: Partition) {
  return allocations.map(({ option, units }, j) => {
    const costed = stages[j]![option]!;
    return { costed, units, own: costed.sized(units), from: starts[j]!, to: starts[j + 1] ?? layers };
  });
}

/**
 * The factor by which stages slow down if they keep more threads busy than there are cores. Micro-batches then share the cores, and all stages
 * slow down alike.
 */
function slowdownOf({ cores }: Pick<Search, 'cores'>, problem: CostedProblem, partition: Partition): number {
  if (partition.slowest === 0) return 1;
  const coreSeconds = sum(chosen(problem, partition).map(({ own, from, to }) => coreSecondsOf(own, from, to, cores)));
  return Math.max(1, coreSeconds / cores / partition.slowest);
}

/** Core-seconds of one micro-batch in a stage. */
function coreSecondsOf({ replicas, shares: sharesOf }: CostedOption, from: number, to: number, cores: number): number {
  const shares = sharesOf(from, to);
  const each = replicas.map(({ option, seconds }, n) => {
    const busy = isCpu(option.device) ? Math.min(option.threads, cores) * option.workers : 0;
    return (busy * seconds(from, to) * shares[n]!) / sum(shares);
  });
  return sum(each);
}

/** Seconds between two micro-batches: those of the slowest stage, but at least one round trip to a worker. */
function intervalOf(search: Pick<Search, 'cores'>, problem: CostedProblem, found: Partition): number {
  const hops = chosen(problem, found).map(({ own }) => own.roundTrip);
  return Math.max(found.slowest * slowdownOf(search, problem, found), ...hops);
}

function planOf(search: Search, topology: Topology, problem: CostedProblem, partitioned: Partition): Plan {
  const { graph, microBatch, request } = search;
  const slowdown = slowdownOf(search, problem, partitioned);
  const interval = intervalOf(search, problem, partitioned);
  const stages = chosen(problem, partitioned).flatMap(({ costed, own: replicaGroup, from, to }) => {
    const shares = replicaShares(replicaGroup, from, to);
    const round = sum(replicaGroup.shares(from, to));
    return replicaGroup.replicas.map((own, k) => {
      const { workers, ...replica } = shares[k]!;
      const seconds = own.seconds(from, to) * slowdown;
      // The share of a round's time in which this replica is busy.
      const busy = (seconds * (replica.turns ?? 1)) / round;
      return {
        option: own.option,
        rotation: own.rotation(from, to),
        range: { from, to: to - 1 },
        replica,
        seconds: seconds * workers,
        bytes: costed.held(own, from, to),
        budget: own.budget,
        utilisation: interval > 0 ? busy / interval : 1,
      };
    });
  });
  const ranges = stages.map(({ range }) => range);
  const ops = opsOf(graph, ranges);
  const options = stages.map(({ option }) => option);
  const rotates = stages.some(({ rotation }) => rotation !== null);
  const requested = request.isolation ?? 'auto';
  const wanted = isolationFor(requested, options);
  const isolation = requested !== 'auto' || sharesThreads(wanted, options) ? wanted : 'process';
  return {
    builds: Object.fromEntries(options.map(({ engine, provider }) => [provider, engineBuild(engine, provider)])),
    stages: options.map(({ device, engine, provider, threads, workers, ...others }, j) => ({
      device,
      engine,
      provider,
      // All threads of one process must agree with the settings that it was started with.
      threads: isolation === 'thread' ? settleThreads(engine, threads, parseDevice(device), false) : threads,
      workers,
      ...keptOptions(others),
      ...stages[j]!.replica,
      layers: ranges[j]!,
      ops: ops[j]!,
      ...rotatingPasses(graph, stages[j]!.rotation),
    })),
    microBatch,
    ...(rotates ? { block: search.blocks!.size } : {}),
    depth: rotates
      ? search.blocks!.slots
      : (request.depth ?? defaultDepth(stages.map(({ option: { workers }, replica }) => ({ workers, ...replica })))),
    isolation,
    cutBy: 'measured',
    expected: {
      name: topology.name,
      rowsPerSecond: microBatch / interval,
      bubble: 1 - sum(stages.map(({ utilisation }) => utilisation)) / stages.length,
      lowerBound: lowerBound(problem),
      verified: false,
      stages: stages.map(({ seconds, bytes, budget, utilisation }) => ({
        seconds,
        bytes,
        budget: Number.isFinite(budget) ? budget : null,
        utilisation,
      })),
    },
  };
}

/** What a plan says of a stage that rotates. */
function rotatingPasses(graph: ModelGraph, rotation: Rotation | null): Pick<StagePlan, 'passes' | 'resident'> {
  if (!rotation) return {};
  const passes = rotation.passes.map(({ from, to }) => ({
    from: graph.layers[from]!.from,
    to: graph.layers[to - 1]!.to,
  }));
  return { passes, resident: rotation.resident };
}
