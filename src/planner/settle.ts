/** Settles on a plan: measures times, finds the best cut of every topology, tries the most promising plans, and keeps the result for the next run. */
import { isCpu } from '../engine/device.js';
import { asTandemError, type TandemError } from '../errors.js';
import { BUSY, type CoreTicks, otherLoad, readTicks } from '../machine/busy.js';
import { knownCards } from '../machine/cards/cards.js';
import { readMachine } from '../machine/machine.js';
import type { ModelGraph } from '../model/graph.js';
import { freeBudget, freeBudgets, noFit } from '../plan/budget.js';
import { type Alternative, isSettled, type Plan } from '../plan/plan.js';
import { stageText } from '../plan/stage-options.js';
import { canShareMemory } from '../pool/isolation.js';
import { isSound, keepPlan, knownPlans, suits } from './known-plans.js';
import { makePlan } from './make-plan.js';
import { forgetCases, type Measured, measure } from './measure/measure.js';
import type { PlanRequest } from './request.js';
import type { Search } from './search/allocation.js';
import { type Candidate, candidateOf, candidateSteps } from './search/candidate.js';
import { runCooperatively } from './search/cooperative.js';
import { checkCutPoints, tooFewCutPoints } from './search/cut-points.js';
import {
  allocationsOf,
  measuredTopologies,
  namedTopologies,
  openTopologies,
  replicasOf,
  type StageOption,
  type Topology,
} from './search/topology.js';
import { fastestOf, keptInTrial } from './trial/choose.js';
import type { TrialSettings } from './trial/try-out.js';

export interface SettleRequest extends PlanRequest {
  readonly allowFallback: boolean;
  /** Called with what is being done, for a user who waits. */
  readonly onProgress?: (text: string) => void;
  /** Called with a one-line warning about the measuring. */
  readonly onCaution?: (text: string) => void;
  /** Reads how busy the cores are; a test passes its own. */
  readonly readTicks?: () => CoreTicks | null;
}

/** If budgets hold the pace below the share `HELD` of the pace without budgets, a micro-batch `SMALLER` times smaller is tried too. */
const SMALLER = 4;
const HELD = 0.97;

/**
 * The best plan by measuring, or one that was found earlier and still holds. If every stage has its layers named, or the rows' shapes are
 * unknown, nothing is measured; nor where processes cannot share memory, as on Windows. Throws TANDEM_PLAN_IMPOSSIBLE, and the errors of loading and running a stage.
 */
export async function settlePlan(graph: ModelGraph, request: SettleRequest): Promise<Plan> {
  const { rowSpecs, stages } = request;
  if (!rowSpecs || isSettled(graph, stages)) return makePlan(graph, request);
  if (!canShareMemory()) {
    request.onCaution?.(
      'layers are measured in processes that share memory, which this system does not have: estimated',
    );
    return makePlan(graph, request);
  }
  checkCutPoints(graph, stages ?? []);
  const known = { ...request, rowSpecs };
  const before = knownPlans(graph, known).filter(({ effort }) => effort === 'measured');
  const kept = before.findLast((each) => isSound(each) && suits(each, graph, known));
  if (kept) return kept.plan;
  // A stale plan came from wrong measurements, so these are deleted.
  if (before.some((each) => !isSound(each))) forgetCases(graph, rowSpecs);
  const ticks = request.readTicks ?? readTicks;
  const begun = ticks();
  const settled = await settle(graph, known);
  const busy = otherLoad(begun, ticks());
  const plan = busy === null ? settled : { ...settled, expected: { ...settled.expected!, busy } };
  if ((busy ?? 0) >= BUSY) forgetCases(graph, rowSpecs);
  const doubts = Math.max(0, ...before.map((each) => each.doubts));
  const rows = request.rows ?? null;
  const unkept = keepPlan(graph, known, { plan, effort: 'measured', rows, stale: null, doubts, seen: null });
  unkeptCaution(request, unkept);
  return plan;
}

/** Warns once if nothing can be stored. */
export function unkeptCaution({ onCaution }: Pick<SettleRequest, 'onCaution'>, unkept: string | null): void {
  if (unkept) onCaution?.(`what was measured is not kept for the next run: ${unkept}`);
}

/** A request that can be measured: the rows' shapes are known. */
export type Known = SettleRequest & TrialSettings;

async function settle(graph: ModelGraph, request: Known): Promise<Plan> {
  const cores = readMachine().cores;
  const { topologies, absent } = await usableTopologies(graph, request, cores);
  const free = freeBudgets();
  const sizes: { search: Search; candidates: Candidate[]; missing: readonly Alternative[] }[] = [];
  for (let wanted = request.microBatch; ; ) {
    const measured = await measureTopologies(graph, request, topologies, wanted);
    const search: Search = { graph, ...measured, request, cores, free };
    const usable = measuredTopologies(topologies, measured.missing);
    const candidates: Candidate[] = [];
    for (const topology of usable.topologies) candidates.push(await runCooperatively(candidateSteps(search, topology)));
    sizes.push({ search, candidates, missing: usable.absent });
    const { microBatch } = measured;
    if (request.microBatch !== undefined || graph.fixedBatch !== null || microBatch === 1 || !isHeld(candidates)) break;
    wanted = Math.ceil(microBatch / SMALLER);
  }
  const { search, candidates, missing } = sizes.reduce((a, b) => (paceOf(b.candidates) > paceOf(a.candidates) ? b : a));
  if (paceOf(candidates) === 0) throw nothingFits(graph, request, sizes.at(-1)!.candidates);
  const plan = await fastestOf(search, candidates, [...absent, ...missing], request);
  return request.stages?.length ? withEachAlone(plan, search, candidates) : plan;
}

/**
 * If several stages are named, adds what each device would do alone with the whole model, if it may hold that: one may be faster than all of
 * them.
 */
function withEachAlone(plan: Plan, search: Search, candidates: readonly Candidate[]): Plan {
  const expected = plan.expected!;
  const stages = candidates.flatMap(({ topology }) => (topology.stages.length > 1 ? topology.stages : []));
  const options = new Map(stages.flatMap(aloneOf).map((option) => [JSON.stringify(option), option]));
  const alone = new Map<string, Alternative>();
  for (const option of options.values()) {
    const { device, workers, threads, memory } = option;
    const name = `1 stage: ${device}, ${workers} x ${threads} thread${threads === 1 ? '' : 's'}`;
    const estimate = candidateOf(search, { name, stages: [[option]] }).plan?.expected?.rowsPerSecond ?? 0;
    const rate = estimate * keptInTrial(plan);
    const faster = rate > expected.rowsPerSecond;
    const flags = stageText({ device, workers, threads, memory });
    const why = faster ? `one stage is faster: --stage ${flags}` : 'slower by measurement';
    if (rate > 0) alone.set(name, { name, rowsPerSecond: rate, why });
  }
  return { ...plan, expected: { ...expected, others: [...(expected.others ?? []), ...alone.values()] } };
}

/** The options of one stage alone with the whole model: as named if threads and workers are fixed, and with all cores to itself. */
function aloneOf(options: readonly StageOption[]): StageOption[] {
  return options.flatMap(replicasOf).flatMap((option) => {
    const own: StageOption = { ...option, otherReplicas: undefined, mostWorkers: undefined };
    const fixed = options.length === 1 && option.mostWorkers === undefined;
    return [
      ...(fixed || !isCpu(option.device) ? [own] : []),
      ...(isCpu(option.device) ? [{ ...own, workers: option.allocation.atOnce }] : []),
    ];
  });
}

/** Rows a second of the best plan that fits; 0 if none does. */
function paceOf(candidates: readonly Candidate[]): number {
  return Math.max(...candidates.map(({ plan }) => plan?.expected?.rowsPerSecond ?? 0));
}

/** Whether memory limits the pace: smaller micro-batches need less of it. */
function isHeld(candidates: readonly Candidate[]): boolean {
  return paceOf(candidates) < HELD * Math.max(...candidates.map(({ unlimited }) => unlimited));
}

/**
 * The usable topologies, and the devices that cannot be used. If no stages are named, a card that cannot compute is left out instead of
 * failing. Errors as of `measure`.
 */
export async function usableTopologies(
  graph: ModelGraph,
  request: Known,
  cores: number,
): Promise<{ topologies: Topology[]; absent: Alternative[] }> {
  if (request.stages?.length) return { topologies: namedTopologies(graph, request.stages, cores), absent: [] };
  const cards: string[] = [];
  const absent: Alternative[] = [];
  for (const card of cardsHere()) {
    try {
      await measureTopologies(graph, request, namedTopologies(graph, [{ device: card }], cores), request.microBatch);
      cards.push(card);
    } catch (error) {
      absent.push({ name: card, rowsPerSecond: null, why: asTandemError(error).message });
    }
  }
  return { topologies: openTopologies(graph, cards, cores), absent };
}

function measureTopologies(
  graph: ModelGraph,
  request: Known,
  topologies: readonly Topology[],
  microBatch?: number,
): Promise<Measured> {
  const memories = topologies.flatMap(({ stages }) => stages.flat().map(({ memory }) => memory ?? Infinity));
  return measure(graph, {
    ...request,
    microBatch,
    allocations: allocationsOf(topologies),
    room: ({ device }) =>
      Math.min(readMachine().memory.free, isCpu(device) ? Infinity : freeBudget(device), ...memories),
    onProgress: (done, total, what) => request.onProgress?.(`measuring ${Math.round((100 * done) / total)} %: ${what}`),
  });
}

function nothingFits(graph: ModelGraph, { stages = [] }: Known, candidates: readonly Candidate[]): TandemError {
  const least = candidates.map(({ requirement }) => requirement).reduce((a, b) => (b.bytes < a.bytes ? b : a));
  return Number.isFinite(least.bytes) ? noFit('the model', least) : tooFewCutPoints(graph, stages);
}

function cardsHere(): string[] {
  return knownCards().map((_, n) => (n === 0 ? 'gpu' : `gpu:${n}`));
}
