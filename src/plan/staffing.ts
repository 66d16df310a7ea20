/** Staffing: the ways of a form with what they cost, as the problem that the partition solves. */
import type { Taking } from '../arena/turns.js';
import { engineBuild } from '../engine/build.js';
import { isCpu } from '../engine/registry.js';
import { legalCuts } from '../model/cut.js';
import { sum } from '../sums.js';
import { type CostContext, liveAtLayers, stageCost } from './cost.js';
import { coresOf, crewOf, type Way } from './form.js';
import type { PartitionProblem, Staffable } from './partition.js';
import { defaultDepth, IN_HAND } from './plan.js';
import type { PlanRequest } from './plan-request.js';
import { factsOfProfile, findCase } from './profile.js';
import { paceInTurns, shareTurns } from './share-turns.js';

/** What holds for all candidates of one search. */
export interface Search extends CostContext {
  readonly request: Pick<PlanRequest, 'depth' | 'isolation'>;
  readonly cores: number;
  /** Bytes that may be had on a device by stages for which nobody has named any. */
  readonly free: (device: string) => number;
}

/** A way with what it costs; where several stand beside each other, all of them together. */
export interface Staff {
  readonly way: Way;
  /** Each that stands there; itself where it stands alone. */
  readonly crew: readonly Staff[];
  /** Of each round of micro-batches on layers [from, to), how many each of them takes. */
  readonly turns: (from: number, to: number) => readonly number[];
  readonly seconds: Staffable['seconds'];
  readonly work: Staffable['work'];
  /** What the stage's process holds beside slots. */
  readonly ownBytes: (from: number, to: number) => number;
  readonly budget: number;
  /** Seconds in which a micro-batch goes to a worker and back: no two of them follow one another faster. */
  readonly hop: number;
}

/** `scales` of each that stands there. */
export function staff(search: Search, way: Way, scales: readonly Scale[]): Staff {
  const crew = crewOf(way).map((each, n) => staffAlone(search, each, scales[n]!));
  return crew.length === 1 ? crew[0]! : together(way, crew);
}

interface Scale {
  readonly seconds: number;
  readonly bytes: number;
}

function together(way: Way, crew: readonly Staff[]): Staff {
  const asked = crew.some((each) => each.way.turns !== undefined);
  const known = new Map<string, readonly number[]>();
  const times = (from: number, to: number) => crew.map(({ seconds }) => seconds(from, to));
  const turns = (from: number, to: number) => {
    if (asked) return crew.map((each) => each.way.turns ?? 1);
    const key = `${from} ${to}`;
    const found = known.get(key) ?? shareTurns(times(from, to));
    known.set(key, found);
    return found;
  };
  return {
    way,
    crew,
    turns,
    seconds: (from, to) => paceInTurns(times(from, to), turns(from, to)),
    work: (from, to) => 1 / sum(crew.map(({ work }) => 1 / work(from, to))),
    ownBytes: (from, to) => sum(crew.map(({ ownBytes }) => ownBytes(from, to))),
    budget: sum(crew.map(({ budget }) => budget)),
    hop: Math.max(...crew.map(({ hop }) => hop)),
  };
}

function staffAlone(search: Search, way: Way, scale: Scale): Staff {
  const { profile, microBatch, free } = search;
  const measured = findCase(profile, way.staffing, microBatch, engineBuild(way.engine, way.provider))!;
  const cost = stageCost(search, measured);
  const own: Staff = {
    way,
    get crew() {
      return [own];
    },
    turns: () => [1],
    seconds: (from, to) => (cost.seconds(from, to) * scale.seconds) / way.workers,
    work: (from, to) => (cost.work(from, to) * scale.seconds) / way.workers,
    ownBytes: (from, to) => cost.bytes(from, to, way.workers) * scale.bytes,
    budget: way.memory ?? free(way.device),
    hop: measured.roundTrip,
  };
  return own;
}

/** `bytes`: what its processes hold. */
export type Staffed = Staff &
  Staffable & {
    readonly bytes: (from: number, to: number) => number;
    /** Likewise of one of its crew. */
    readonly held: (own: Staff, from: number, to: number) => number;
  };

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
    const limit = Math.max(most, Math.min(...ways.map(({ way }) => workersOf(way))));
    return ways.filter(({ way }) => workersOf(way) <= limit);
  });
  const deepest = few.map((ways) => Math.max(...ways.map((own) => defaultDepth(takings(own, 0, graph.layers.length)))));
  // Each counts those that the coordinator has in hand.
  const depth = request.depth ?? sum(deepest) - IN_HAND * (deepest.length - 1);
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

/** Workers of all that stand beside each other. */
export function workersOf(way: Way): number {
  return sum(crewOf(way).map(({ workers }) => workers));
}

/** The stages of a way that is given layers [from, to). */
export function takings({ crew, turns }: Staff, from: number, to: number): (Taking & { readonly workers: number })[] {
  const shares = turns(from, to);
  return crew.map(({ way: { workers } }, n) =>
    crew.length === 1 ? { workers } : { workers, turns: shares[n]!, ...(n > 0 ? { beside: true } : {}) },
  );
}

/** A process holds what it reads of each slot and what it writes, which lies in memory once however many see it. A card holds no slots. */
function withSlots(staffed: Staff, slots: (k: number) => number, layers: number): Staffed {
  const { way, crew } = staffed;
  const held = (own: Staff, from: number, to: number) =>
    own.ownBytes(from, to) + (isCpu(own.way.device) ? slots(from) + slots(to) : 0);
  const shared = (from: number, to: number) => slots(from) + (to === layers ? slots(to) : 0);
  return {
    ...staffed,
    bytes: (from, to) => sum(crew.map((own) => held(own, from, to))),
    held,
    cores: coresOf(way),
    // What is shared is held to the room.
    fits: (from, to) => crew.every((own) => sharesMemory(own.way) || held(own, from, to) <= own.budget),
    takes: (from, to) =>
      sum(crew.map((own) => (sharesMemory(own.way) ? own.ownBytes(from, to) : 0))) + shared(from, to),
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
