/** A candidate: a form with its best cut, and what it would do. */
import { engineBuild } from '../engine/build.js';
import { parseDevice } from '../engine/registry.js';
import { legalCuts } from '../model/cut.js';
import { settleThreads } from '../pool/environment.js';
import { resolveIsolation } from '../pool/isolation.js';
import { type CostContext, liveAtLayers, stageCost } from './cost.js';
import { coresOf, type Form, sharesThreads, type Way } from './form.js';
import {
  leastRoom,
  lowerBound,
  type Partition,
  type PartitionProblem,
  partition,
  type Staffable,
} from './partition.js';
import { defaultDepth, opsOf, type Plan } from './plan.js';
import type { PlanRequest } from './plan-request.js';
import { findCase } from './profile.js';

export interface Candidate {
  readonly form: Form;
  /** `null` when no cut fits the budgets. */
  readonly plan: Plan | null;
  /** Rows a second of the best cut if memory were without end. */
  readonly unlimited: number;
  /** Bytes when the model is cut so that they are few: of the largest stage, or of all together where they share what is free. */
  readonly smallestBytes: number;
}

/** What holds for all candidates of one search. */
export interface Search extends CostContext {
  readonly request: Pick<PlanRequest, 'depth' | 'isolation'>;
  readonly cores: number;
  /** Bytes that may be had on a device by stages for which nobody has named any. */
  readonly free: (device: string) => number;
}

/** For each stage, by how much it was seen to need more (or less) than the profile says. */
export interface Scales {
  readonly seconds?: readonly number[];
  readonly bytes?: readonly number[];
}

/** The best cut of a form that the budgets allow. */
export function candidateOf(search: Search, form: Form, scales: Scales = {}): Candidate {
  const { microBatch } = search;
  const staffed = form.stages.map((ways, j) =>
    ways.map((way) => staff(search, way, { seconds: scales.seconds?.[j] ?? 1, bytes: scales.bytes?.[j] ?? 1 })),
  );
  // More workers need more slots, so that fewer may be what fits.
  const counts = new Set(form.stages.flat().map(({ workers }) => workers));
  const problems = [...counts].sort((a, b) => b - a).map((most) => problemOf(search, staffed, most));
  const free = partition(withoutBudgets(problems[0]!));
  let best: { problem: StaffedProblem; found: Partition } | undefined;
  for (const problem of problems) {
    const found = partition(problem);
    if (found && (!best || found.slowest < best.found.slowest)) best = { problem, found };
    if (best && best.found.slowest === free?.slowest) break;
  }
  return {
    form,
    plan: best ? planOf(search, form, best.problem, best.found) : null,
    unlimited: free ? microBatch / free.slowest : 0,
    smallestBytes: Math.min(...problems.map(smallestBytes)),
  };
}

/** A way with what it costs. */
interface Staff {
  readonly way: Way;
  readonly seconds: Staffable['seconds'];
  readonly work: Staffable['work'];
  /** What the stage's process holds beside slots. */
  readonly ownBytes: (from: number, to: number) => number;
  readonly budget: number;
}

function staff(search: Search, way: Way, scale: { seconds: number; bytes: number }): Staff {
  const { profile, microBatch, free } = search;
  const measured = findCase(profile, way.staffing, microBatch, engineBuild(way.engine, way.provider))!;
  const cost = stageCost(search, measured);
  return {
    way,
    seconds: (from, to) => (cost.seconds(from, to) * scale.seconds) / way.workers,
    work: (from, to) => (cost.work(from, to) * scale.seconds) / way.workers,
    ownBytes: (from, to) => cost.bytes(from, to, way.workers) * scale.bytes,
    budget: way.memory ?? free(way.device),
  };
}

/** `bytes`: what the stage's process holds. */
type Staffed = Staff & Staffable & { readonly bytes: (from: number, to: number) => number };

interface StaffedProblem extends PartitionProblem {
  readonly stages: readonly (readonly Staffed[])[];
}

/** How to cut where no stage has more than `most` workers, or as few as it can have. */
function problemOf(
  { graph, cores, profile, microBatch, request, free }: Search,
  staffs: readonly (readonly Staff[])[],
  most: number,
): StaffedProblem {
  const few = staffs.map((ways) => {
    const limit = Math.max(most, Math.min(...ways.map(({ way }) => way.workers)));
    return ways.filter(({ way }) => way.workers <= limit);
  });
  const largest = few.map((ways) => ({ workers: Math.max(...ways.map(({ way }) => way.workers)) }));
  const depth = request.depth ?? defaultDepth(largest);
  const live = liveAtLayers(graph, new Map(profile.facts), microBatch);
  const slots = (k: number) => depth * (live[k] ?? 0);
  const legal = new Set(legalCuts(graph));
  return {
    layers: graph.layers.length,
    stages: few.map((ways) => ways.map((each) => withSlots(each, slots, graph.layers.length))),
    // Stages that the user has staffed may want more than there are.
    cores: Math.max(cores, sum(few.map((ways) => Math.min(...ways.map(({ way }) => coresOf(way)))))),
    legal: (k) => legal.has(graph.layers[k]!.from) && live[k] !== null,
    room: free('cpu'),
  };
}

/** A process holds what it has read out of each slot; what it makes goes straight to where all stages find it. A card holds no slots. */
function withSlots(staffed: Staff, slots: (k: number) => number, layers: number): Staffed {
  const { way, ownBytes, budget } = staffed;
  const bytes = (from: number, to: number) => ownBytes(from, to) + (way.device.startsWith('cpu') ? slots(from) : 0);
  // The slots themselves lie in memory too.
  const shared = (from: number, to: number) => slots(from) + (to === layers ? slots(to) : 0);
  return {
    ...staffed,
    bytes,
    cores: coresOf(way),
    fits: (from, to) => bytes(from, to) <= budget,
    takes: (from, to) => (sharesMemory(way) ? bytes(from, to) : 0) + shared(from, to),
  };
}

/** Budgets that nobody named are all of the same memory. */
function sharesMemory({ device, memory }: Way): boolean {
  return memory === undefined && device.startsWith('cpu');
}

function withoutBudgets(problem: StaffedProblem): StaffedProblem {
  const stages = problem.stages.map((ways) => ways.map((way) => ({ ...way, fits: () => true })));
  return { ...problem, stages, room: Number.POSITIVE_INFINITY };
}

/** Infinite where there are too few places to cut. */
function smallestBytes(problem: StaffedProblem): number {
  const unlimited = withoutBudgets(problem);
  if (problem.stages.flat().some(({ way }) => sharesMemory(way))) return leastRoom(unlimited);
  const stages = unlimited.stages.map((ways) => ways.map((way) => ({ ...way, seconds: way.bytes })));
  return partition({ ...unlimited, stages })?.slowest ?? Number.POSITIVE_INFINITY;
}

function planOf(
  { graph, microBatch, request }: Search,
  form: Form,
  problem: StaffedProblem,
  { starts, staffing, slowest }: Partition,
): Plan {
  const bounds = [...starts, problem.layers];
  const stages = staffing.map((n, j) => {
    const [from, to] = [bounds[j]!, bounds[j + 1]!];
    const { way, budget, ...own } = problem.stages[j]![n]!;
    const seconds = own.seconds(from, to);
    const utilisation = slowest > 0 ? seconds / slowest : 1;
    return { way, seconds: seconds * way.workers, bytes: own.bytes(from, to), budget, utilisation };
  });
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

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
