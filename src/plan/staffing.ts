/** Staffing: the ways of a form with what they cost, as the problem that the partition solves. */
import { engineBuild } from '../engine/build.js';
import { isCpu } from '../engine/registry.js';
import { legalCuts } from '../model/cut.js';
import { type CostContext, liveAtLayers, stageCost } from './cost.js';
import { coresOf, type Way } from './form.js';
import type { PartitionProblem, Staffable } from './partition.js';
import { defaultDepth } from './plan.js';
import type { PlanRequest } from './plan-request.js';
import { factsOfProfile, findCase } from './profile.js';
import { sum } from './sums.js';

/** What holds for all candidates of one search. */
export interface Search extends CostContext {
  readonly request: Pick<PlanRequest, 'depth' | 'isolation'>;
  readonly cores: number;
  /** Bytes that may be had on a device by stages for which nobody has named any. */
  readonly free: (device: string) => number;
}

/** A way with what it costs. */
export interface Staff {
  readonly way: Way;
  readonly seconds: Staffable['seconds'];
  readonly work: Staffable['work'];
  /** What the stage's process holds beside slots. */
  readonly ownBytes: (from: number, to: number) => number;
  readonly budget: number;
}

export function staff(search: Search, way: Way, scale: { seconds: number; bytes: number }): Staff {
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
export type Staffed = Staff & Staffable & { readonly bytes: (from: number, to: number) => number };

export interface StaffedProblem extends PartitionProblem {
  readonly stages: readonly (readonly Staffed[])[];
}

/** How to cut where no stage has more than `most` workers, or as few as it can have. */
export function problemOf(
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
  const live = liveAtLayers(graph, factsOfProfile(profile), microBatch);
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
  const bytes = (from: number, to: number) => ownBytes(from, to) + (isCpu(way.device) ? slots(from) : 0);
  // The slots themselves lie in memory too.
  const shared = (from: number, to: number) => slots(from) + (to === layers ? slots(to) : 0);
  return {
    ...staffed,
    bytes,
    cores: coresOf(way),
    // What is shared is held to the room.
    fits: (from, to) => sharesMemory(way) || bytes(from, to) <= budget,
    takes: (from, to) => (sharesMemory(way) ? bytes(from, to) : 0) + shared(from, to),
  };
}

/** Budgets that nobody named are all of the same memory. */
export function sharesMemory({ device, memory }: Way): boolean {
  return memory === undefined && isCpu(device);
}

export function withoutBudgets(problem: StaffedProblem): StaffedProblem {
  const stages = problem.stages.map((ways) => ways.map((way) => ({ ...way, fits: () => true })));
  return { ...problem, stages, room: Number.POSITIVE_INFINITY };
}
