/** Settles on a plan: measured times, the best cut of every form, a trial of the likeliest, and what was found kept for the next time. */
import { engineBuild } from '../engine/build.js';
import { engineFor, isCpu, providerFor } from '../engine/registry.js';
import { asTandemError, TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import { freeBudget, freeBudgets, noFit } from '../plan/budget.js';
import { type Candidate, candidateOf } from '../plan/candidate.js';
import { crewOf, type Form, measuredForms, namedForms, openForms, staffingsOf } from '../plan/form.js';
import { readMachine } from '../plan/machine.js';
import { makePlan } from '../plan/make-plan.js';
import { type Measured, measure } from '../plan/measure.js';
import { readStored, store } from '../plan/measurement-store.js';
import { readNvidiaDriver } from '../plan/nvidia.js';
import { isSettled, type Plan, type Rival } from '../plan/plan.js';
import type { PlanRequest } from '../plan/plan-request.js';
import { subjectOf } from '../plan/profile.js';
import type { Search } from '../plan/staffing.js';
import { sum } from '../sums.js';
import type { TrialSettings } from './shift-cut.js';
import { fastestOf, keptInTrial } from './verify.js';

export interface SettleRequest extends PlanRequest {
  readonly allowFallback: boolean;
  /** What is being done, for a person who waits. */
  readonly onProgress?: (text: string) => void;
}

/** By what a micro-batch is made smaller where budgets hold the pace below this share of what it could be. */
const SMALLER = 4;
const HELD = 0.97;

/**
 * The best plan that measuring finds. Where every stage has its layers named, or the rows' shapes are not known, nothing is
 * measured. Throws TANDEM_PLAN_IMPOSSIBLE, and whatever loading and running a stage throws.
 */
export async function settlePlan(graph: ModelGraph, request: SettleRequest): Promise<Plan> {
  const { rowSpecs, stages } = request;
  if (!rowSpecs || isSettled(graph, stages)) return makePlan(graph, request);
  const known = { ...request, rowSpecs };
  const key = keyOf(graph, known);
  const kept = readStored<Plan>('plans', key);
  if (kept && stillFits(kept)) return kept;
  const settled = await settle(graph, known);
  store('plans', key, settled);
  return settled;
}

/** What can be measured: rows whose shapes are known. */
type Known = SettleRequest & TrialSettings;

async function settle(graph: ModelGraph, request: Known): Promise<Plan> {
  const cores = readMachine().cores;
  const { forms, absent } = await usableForms(graph, request, cores);
  const free = freeBudgets();
  const sizes: { search: Search; candidates: Candidate[]; missing: readonly Rival[] }[] = [];
  for (let wanted = request.microBatch; ; ) {
    const measured = await measureForms(graph, request, forms, wanted);
    const search: Search = { graph, ...measured, request, cores, free };
    const there = measuredForms(forms, measured.missing);
    const candidates = there.forms.map((form) => candidateOf(search, form));
    sizes.push({ search, candidates, missing: there.absent });
    const { microBatch } = measured;
    if (request.microBatch !== undefined || graph.fixedBatch !== null || microBatch === 1 || !isHeld(candidates)) break;
    wanted = Math.ceil(microBatch / SMALLER);
  }
  const { search, candidates, missing } = sizes.reduce((a, b) => (paceOf(b.candidates) > paceOf(a.candidates) ? b : a));
  if (paceOf(candidates) === 0) throw nothingFits(sizes.at(-1)!.candidates);
  const plan = await fastestOf(search, candidates, [...absent, ...missing], request);
  return request.stages?.length ? withEachAlone(plan, search, candidates) : plan;
}

/** Whoever names several stages is told what each would do with the whole model, where it may hold that: one may be faster than all of them. */
function withEachAlone(plan: Plan, search: Search, candidates: readonly Candidate[]): Plan {
  const expected = plan.expected!;
  const ways = candidates.flatMap(({ form: { stages } }) => (stages.length > 1 ? stages.flat().flatMap(crewOf) : []));
  const alone = new Map<string, Rival>();
  for (const way of ways) {
    const name = `1 stage: ${way.device}, ${way.workers} x ${way.threads} thread${way.threads === 1 ? '' : 's'}`;
    const reckoned = candidateOf(search, { name, stages: [[way]] }).plan?.expected?.rowsPerSecond ?? 0;
    const rate = reckoned * keptInTrial(plan);
    const faster = rate > expected.rowsPerSecond;
    const why = faster ? 'one device is faster: leave out the other stages' : 'slower by what was measured';
    if (rate > 0) alone.set(name, { name, rowsPerSecond: rate, why });
  }
  return { ...plan, expected: { ...expected, others: [...(expected.others ?? []), ...alone.values()] } };
}

/** Rows a second of the best that fits; 0 when nothing does. */
function paceOf(candidates: readonly Candidate[]): number {
  return Math.max(...candidates.map(({ plan }) => plan?.expected?.rowsPerSecond ?? 0));
}

/** Whether it is the memory that keeps the best from being faster: smaller micro-batches take less of it. */
function isHeld(candidates: readonly Candidate[]): boolean {
  return paceOf(candidates) < HELD * Math.max(...candidates.map(({ unlimited }) => unlimited));
}

/**
 * The forms that may be taken, and the devices that cannot: without stages that were asked for, a card that nothing can compute on is no reason to
 * fail. Errors as of `measure`.
 */
export async function usableForms(
  graph: ModelGraph,
  request: Known,
  cores: number,
): Promise<{ forms: Form[]; absent: Rival[] }> {
  if (request.stages?.length) return { forms: namedForms(graph, request.stages, cores), absent: [] };
  const cards: string[] = [];
  const absent: Rival[] = [];
  for (const card of cardsHere()) {
    try {
      await measureForms(graph, request, namedForms(graph, [{ device: card }], cores), request.microBatch);
      cards.push(card);
    } catch (error) {
      absent.push({ name: card, rowsPerSecond: null, why: asTandemError(error).message });
    }
  }
  return { forms: openForms(graph, cards, cores), absent };
}

function measureForms(
  graph: ModelGraph,
  request: Known,
  forms: readonly Form[],
  microBatch?: number,
): Promise<Measured> {
  const memories = forms.flatMap(({ stages }) => stages.flat().map(({ memory }) => memory ?? Infinity));
  return measure(graph, {
    ...request,
    microBatch,
    staffings: staffingsOf(forms),
    room: ({ device }) =>
      Math.min(readMachine().memory.free, isCpu(device) ? Infinity : freeBudget(device), ...memories),
    onProgress: (done, total, what) => request.onProgress?.(`measuring ${Math.round((100 * done) / total)} %: ${what}`),
  });
}

function nothingFits(candidates: readonly Candidate[]): TandemError {
  const least = candidates.map(({ need }) => need).reduce((a, b) => (b.bytes < a.bytes ? b : a));
  if (Number.isFinite(least.bytes)) return noFit('the model', least);
  return new TandemError('TANDEM_LAYERS_INVALID', 'the model has too few places to cut for so many stages', {
    remedy: 'use fewer stages; tandem inspect MODEL shows where it can be cut',
  });
}

function cardsHere(): string[] {
  return (readNvidiaDriver()?.cards ?? []).map((_, n) => (n === 0 ? 'gpu' : `gpu:${n}`));
}

/** All that a kept plan depends on. */
function keyOf(graph: ModelGraph, { rowSpecs, stages, microBatch, depth, isolation, rows }: Known): object {
  return {
    schema: 1,
    ...subjectOf(graph, rowSpecs),
    // A library that is linked later is taken from then on.
    providers: ['cpu', 'gpu'].map((device) => providerFor(engineFor(graph.format), device)),
    stages,
    microBatch,
    depth,
    isolation,
    rows: rows ? Math.floor(Math.log2(rows)) : null,
  };
}

/** Engines may have been rebuilt and memory may have been taken since. */
function stillFits(plan: Plan): boolean {
  const { stages, expected, builds } = plan;
  if (stages.some(({ engine, provider }) => builds?.[provider] !== engineBuild(engine, provider))) return false;
  const onCpu = stages.flatMap(({ device }, j) => (isCpu(device) ? [expected?.stages[j]?.bytes ?? 0] : []));
  return sum(onCpu) <= readMachine().memory.free;
}
