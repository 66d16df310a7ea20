/** A candidate: a form with its best cut, and what it would do. */
import { engineBuild } from '../engine/build.js';
import { parseDevice } from '../engine/registry.js';
import { legalCuts } from '../model/cut.js';
import { settleThreads } from '../pool/environment.js';
import { resolveIsolation } from '../pool/isolation.js';
import { freeBudget } from './budget.js';
import { type CostContext, liveAtLayers, type StageCost, stageCost } from './cost.js';
import { coresOf, type Form, sharesThreads, type Way } from './form.js';
import { lowerBound, type PartitionProblem, partition, type Staffable } from './partition.js';
import { defaultDepth, type ExpectedStage, opsOf, type Plan } from './plan.js';
import type { PlanRequest } from './plan-request.js';
import { findCase } from './profile.js';

export interface Candidate {
  readonly form: Form;
  /** `null` when no cut fits the budgets. */
  readonly plan: Plan | null;
  /** Bytes of the largest stage when the model is cut so that it is as small as can be. */
  readonly smallestBytes: number;
}

/** What holds for all candidates of one search. */
export interface Search extends CostContext {
  readonly request: Pick<PlanRequest, 'depth' | 'isolation'>;
  readonly cores: number;
}

/** For each stage, by how much it was seen to need more (or less) than the profile says. */
export interface Scales {
  readonly seconds?: readonly number[];
  readonly bytes?: readonly number[];
}

/** The best cut of a form. */
export function candidateOf(search: Search, form: Form, scales: Scales = {}): Candidate {
  const { graph, cores } = search;
  const staffed = form.stages.map((ways, j) =>
    ways.map((way) =>
      staffable(search, form, way, { seconds: scales.seconds?.[j] ?? 1, bytes: scales.bytes?.[j] ?? 1 }),
    ),
  );
  const facts = new Map(search.profile.facts);
  const live = liveAtLayers(graph, facts, search.microBatch);
  const legal = new Set(legalCuts(graph));
  const problem: PartitionProblem = {
    layers: graph.layers.length,
    stages: staffed,
    // Stages that the user has staffed may want more than there are.
    cores: Math.max(cores, sum(form.stages.map((ways) => Math.min(...ways.map(coresOf))))),
    legal: (k) => legal.has(graph.layers[k]!.from) && live[k] !== null,
  };
  const smallest = partition({
    ...problem,
    stages: staffed.map((ways) => ways.map((way) => ({ ...way, seconds: way.bytes, fits: () => true }))),
  });
  const found = partition(problem);
  const smallestBytes = smallest?.slowest ?? Infinity;
  if (!found) return { form, plan: null, smallestBytes };
  const bounds = [...found.starts, graph.layers.length];
  const chosen = found.staffing.map((n, j) => ({ way: form.stages[j]![n]!, staffed: staffed[j]![n]! }));
  const stages = chosen.map(({ way, staffed: own }, j): ExpectedStage & { way: Way } => {
    const [from, to] = [bounds[j]!, bounds[j + 1]!];
    const seconds = own.seconds(from, to);
    const utilisation = found.slowest > 0 ? seconds / found.slowest : 1;
    return { way, seconds: seconds * way.workers, bytes: own.bytes(from, to), budget: own.budget, utilisation };
  });
  if (!fitsTogether(stages)) return { form, plan: null, smallestBytes };
  const bound = lowerBound(problem);
  return { form, plan: planOf(search, form, bounds, stages, found.slowest, bound), smallestBytes };
}

type Staffed = Staffable & { readonly bytes: (from: number, to: number) => number; readonly budget: number };

function staffable(search: Search, form: Form, way: Way, scale: { seconds: number; bytes: number }): Staffed {
  const { profile, microBatch } = search;
  const measured = findCase(profile, way.staffing, microBatch, engineBuild(way.engine, way.provider))!;
  const cost = stageCost(search, measured);
  const reckoned = bytesOf(search, form, way, cost);
  const bytes = (from: number, to: number) => reckoned(from, to) * scale.bytes;
  const budget = way.memory ?? freeBudget(way.device);
  return {
    cores: coresOf(way),
    seconds: (from, to) => (cost.seconds(from, to) * scale.seconds) / way.workers,
    work: (from, to) => (cost.work(from, to) * scale.seconds) / way.workers,
    fits: (from, to) => bytes(from, to) <= budget,
    bytes,
    budget,
  };
}

/** What the stage's process holds: its workers, and its part of every slot. */
function bytesOf(search: Search, form: Form, way: Way, cost: StageCost): Staffed['bytes'] {
  const live = liveAtLayers(search.graph, new Map(search.profile.facts), search.microBatch);
  const depth = search.request.depth ?? defaultDepth(form.stages.map((ways) => ways[0]!));
  return (from, to) => cost.bytes(from, to, way.workers) + depth * ((live[from] ?? 0) + (live[to] ?? 0));
}

/** Budgets that nobody named are all of the same memory. */
function fitsTogether(stages: readonly (ExpectedStage & { way: Way })[]): boolean {
  const shared = stages.filter(({ way }) => way.memory === undefined && way.device.startsWith('cpu'));
  return shared.reduce((total, { bytes }) => total + bytes, 0) <= freeBudget('cpu') || shared.length === 0;
}

function planOf(
  { graph, microBatch, request }: Search,
  form: Form,
  bounds: readonly number[],
  stages: readonly (ExpectedStage & { way: Way })[],
  slowest: number,
  bound: number,
): Plan {
  const ranges = stages.map((_, j) => ({ from: bounds[j]!, to: bounds[j + 1]! - 1 }));
  const ops = opsOf(graph, ranges);
  const ways = stages.map(({ way }) => way);
  // A budget can be held to only where the stage's memory can be told apart.
  const wanted = ways.some(({ memory }) => memory !== undefined) ? 'process' : resolveIsolation('auto', ways);
  const free = request.isolation ?? 'auto';
  const isolation = free !== 'auto' ? free : sharesThreads(wanted, ways) ? wanted : 'process';
  return {
    builds: Object.fromEntries(ways.map(({ engine, provider }) => [provider, engineBuild(engine, provider)])),
    stages: ways.map(({ device, engine, provider, threads, workers, memory }, j) => ({
      device,
      engine,
      provider,
      // Threads of one process must agree with what it was begun with.
      threads: isolation === 'thread' ? settleThreads(engine, threads, parseDevice(device), false) : threads,
      workers,
      ...(memory === undefined ? {} : { memory }),
      layers: ranges[j]!,
      ops: ops[j]!,
    })),
    microBatch,
    depth: request.depth ?? defaultDepth(ways),
    isolation,
    cutBy: 'measured',
    expected: {
      name: form.name,
      rowsPerSecond: microBatch / slowest,
      bubble: 1 - sum(stages.map(({ utilisation }) => utilisation)) / stages.length,
      lowerBound: bound,
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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
