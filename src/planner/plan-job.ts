/** Plans a job in proportion to its length: known plans, or a first timing of the plan that the job would start with, show how much planning pays. */

import { grouped } from '../grouped-digits.js';
import { BUSY, otherLoad, readTicks } from '../machine/busy.js';
import { knownCards } from '../machine/cards/cards.js';
import { readCores } from '../machine/machine.js';
import type { ModelGraph } from '../model/graph.js';
import { hasBudget } from '../plan/budget.js';
import { isSettled, type Plan } from '../plan/plan.js';
import type { StageOptions } from '../plan/stage-options.js';
import { sum } from '../sums.js';
import { firstStages, haveRoom } from './first-stages.js';
import { largestMicroBatch } from './job-rows.js';
import {
  EFFORTS,
  type Effort,
  estimateSeconds,
  isOnlySlower,
  isSound,
  type KnownPlan,
  keepPlan,
  knownPlans,
  suits,
  wasBusy,
} from './known-plans.js';
import { makePlan } from './make-plan.js';
import { effortFor, type JobEstimate, mayTake, secondsFor } from './proportion.js';
import { checkCutPoints } from './search/cut-points.js';
import { type Known, type SettleRequest, settlePlan, unkeptCaution } from './settle.js';
import { type AlternativePlan, tryAlternatives } from './trial/alternatives.js';
import { bestSize } from './trial/best-size.js';
import { type FirstPace, firstPace } from './trial/first-pace.js';
import { Trial } from './trial/trial.js';
import { rowsOfZeros } from './trial/workload.js';

export interface JobPlan {
  readonly plan: Plan;
  readonly effort: Effort;
  /** The plan, loaded and warm, if it was timed. The caller closes it. */
  readonly trial: Trial | null;
  /** Why not everything was measured, for the user; `null` if everything was. */
  readonly why: string | null;
}

/** A job of fewer rows is over before timing it would show anything. */
const FEWEST_ROWS = 16;

/** The time estimate of a job with an unknown number of rows, such as from a pipe. */
const UNKNOWN_SECONDS = 30;

/** Errors as of `settlePlan` and `Trial.open`. */
export async function planJob(graph: ModelGraph, request: SettleRequest): Promise<JobPlan> {
  const { rowSpecs, stages } = request;
  if (!rowSpecs || isSettled(graph, stages)) return asEstimated(await makePlan(graph, request), null);
  checkCutPoints(graph, stages ?? []);
  // Checking a budget needs the measured memory of each stage.
  if (stages && hasBudget(stages)) return measured(await settlePlan(graph, request));
  const known = { ...request, rowSpecs };
  const found = fromKnown(graph, known);
  if (found && 'pays' in found) return measureFirst(graph, known, found.pays);
  if (found && !wouldStartSooner(graph, known, found)) return found;
  const few = request.rows != null && request.rows < FEWEST_ROWS;
  if (!found && !few) return timeFirst(graph, known);
  const plan = await makePlan(graph, { ...request, stages: stages?.length ? stages : ONE_WORKER });
  return asEstimated(
    plan,
    found?.why ?? `not measured: a job of ${request.rows} rows is over before measuring could pay`,
  );
}

const ONE_WORKER: readonly StageOptions[] = [{ device: 'cpu' }];

/**
 * Whether one worker, if it was never tried, may finish sooner because it loads sooner: the rows take less than twice as long as loading. A
 * wrong guess costs once; later runs are planned by its measurements.
 */
function wouldStartSooner(graph: ModelGraph, request: Known, { plan, job }: FromKnown): boolean {
  const isOneWorker = (stages: Plan['stages']) => stages.length === 1 && stages[0]!.workers === 1;
  if (request.stages?.length || request.rows == null || isOneWorker(plan.stages)) return false;
  if (knownPlans(graph, request).some((each) => isOneWorker(each.plan.stages) && each.seen)) return false;
  return job.seconds - job.loadSeconds < 2 * (job.loadSeconds || LOAD_SECONDS);
}

/** Seconds to load a plan if no run has measured it. */
const LOAD_SECONDS = 0.5;

type FromKnown = JobPlan & { readonly job: JobEstimate };

function asEstimated(plan: Plan, why: string | null): JobPlan {
  return { plan, effort: 'quick', trial: null, why };
}

async function measureFirst(graph: ModelGraph, request: Known, job: JobEstimate): Promise<JobPlan> {
  const takes = rounded(secondsFor('measured', job));
  request.onCaution?.(
    `measuring the layers, which takes about ${takes} s: the job would take about ${rounded(job.seconds)} s without measuring`,
  );
  return measured(await settlePlan(graph, request));
}

function measured(plan: Plan): JobPlan {
  return { plan, effort: 'measured', trial: null, why: null };
}

/** The quickest known plan. If measuring pays at its pace, the job estimate instead. `null` if nothing is known, or if a first timing pays. */
function fromKnown(graph: ModelGraph, request: Known): FromKnown | { readonly pays: JobEstimate } | null {
  const candidates = knownPlans(graph, request).filter((each) => suits(each, graph, request));
  const sound = candidates.filter(isSound);
  // A plan that was measured beside other work is better than none measured, for a job that is too short to try anything.
  const known = candidates.filter((each) => isSound(each) || isOnlySlower(each) || wasBusy(each));
  const loads = known.flatMap(({ seen }) => (seen ? [seen.loadSeconds] : []));
  const loadSeconds = loads.length > 0 ? Math.min(...loads) : 0;
  const secondsOf = (each: KnownPlan) =>
    estimateSeconds(each, request.rows ?? 0, loadSeconds) ?? Number.POSITIVE_INFINITY;
  const quickest = known.toSorted((a, b) => secondsOf(a) - secondsOf(b))[0];
  if (!quickest || !Number.isFinite(secondsOf(quickest))) return null;
  const seconds = request.rows == null ? UNKNOWN_SECONDS : secondsOf(quickest);
  const roundSeconds = (FIRST_ROWS * workersOf(quickest.plan) * seconds) / (request.rows ?? Number.POSITIVE_INFINITY);
  const job = { seconds, loadSeconds, hasCard: hasOpenCard(request), roundSeconds };
  const wanted = effortFor(job);
  const most = Math.max(...sound.map(({ effort }) => EFFORTS.indexOf(effort)));
  if (most < EFFORTS.indexOf(wanted)) {
    if (wanted === 'measured') return { pays: job };
    if (!isOnlySlower(quickest) && !(wasBusy(quickest) && wanted === 'quick')) return null;
  }
  const { plan, effort } = quickest;
  return { plan, effort, trial: null, why: effort === 'measured' ? null : whyNotMeasured(job, request.rows), job };
}

/** Whether the machine has a card and no stages are named. */
function hasOpenCard({ stages }: Known): boolean {
  return !stages?.length && knownCards().length > 0;
}

/** Workers that a first timing loads at most: it must be short, and more workers are tried if that pays. */
const FIRST_WORKERS = 2;

/**
 * Rows of the micro-batch with which the first timing loads: warming up with more takes longer, and may be for nothing. MobileNetV2 in TensorFlow,
 * 224 x 224: 1.2 s with 4 rows, 2.1 s with 32 (2 cores of an AMD EPYC, 1 December 2026).
 */
const FIRST_ROWS = 4;

/** Without a pace, the job is taken to be of a middling length. */
function jobOf(request: Known, { loadSeconds, plan }: Trial, pace: FirstPace | null): JobEstimate {
  const hasCard = hasOpenCard(request);
  if (pace === null) return { seconds: UNKNOWN_SECONDS, loadSeconds, hasCard };
  const roundSeconds = (Math.min(pace.microBatch, FIRST_ROWS) * workersOf(plan)) / pace.rowsPerSecond;
  return { seconds: loadSeconds + request.rows! / pace.rowsPerSecond, loadSeconds, hasCard, roundSeconds };
}

/** Whether the micro-batch may have another size. */
function isSizeOpen({ fixedBatch }: ModelGraph, { microBatch }: Pick<Known, 'microBatch'>): boolean {
  return microBatch === undefined && fixedBatch === null;
}

function workersOf({ stages }: Plan): number {
  return sum(stages.map(({ workers }) => workers));
}

/** Loads the plan that the job would start with, and estimates the job's time from it. */
async function timeFirst(graph: ModelGraph, request: Known): Promise<JobPlan> {
  const { rowSpecs, allowFallback, deadlineMs, onProgress, rows, stages } = request;
  onProgress?.('loading, to time the model');
  const plan = await makePlan(graph, {
    ...request,
    stages: stages?.length ? stages : firstStages(graph, rows, FIRST_WORKERS),
  });
  const options = { graph, rows: rowsOfZeros(rowSpecs), allowFallback, deadlineMs };
  const ticks = request.readTicks ?? readTicks;
  const before = ticks();
  const isOpen = isSizeOpen(graph, request);
  const few = isOpen && rows != null ? Math.min(FIRST_ROWS, plan.microBatch) : plan.microBatch;
  const trial = await Trial.open({ ...options, plan: { ...plan, microBatch: few } });
  const loadedAt = performance.now();
  try {
    const pace = rows == null ? null : await firstPace(trial, rows, plan.microBatch);
    const job = jobOf(request, trial, pace);
    const effort = effortFor(job);
    if (effort === 'measured') {
      await trial.close();
      return measureFirst(graph, request, job);
    }
    if (effort === 'quick') {
      const busy = () => otherLoad(before, ticks());
      const from = plan.microBatch;
      if (pace !== null) await resize(trial, { ...request, graph }, { seconds: mayTake(job), pace, from, busy });
      return { plan: trial.plan, effort, trial, why: whyNotMeasured(job, rows) };
    }
    const ends = loadedAt / 1e3 + mayTake(job);
    const winner = await tryAlternatives(trial, nameOf(plan), alternativesOf(graph, request), {
      ...options,
      most: isOpen ? mostFor(rows) : null,
      from: pace?.microBatch,
      left: () => ends - performance.now() / 1e3,
      readTicks: ticks,
      onProgress,
    });
    const doubts = Math.max(0, ...knownPlans(graph, request).map((each) => each.doubts));
    const kept = { plan: winner.plan, effort, rows: rows ?? null, stale: null, doubts, seen: null };
    unkeptCaution(request, keepPlan(graph, request, kept));
    return { plan: winner.plan, effort, trial: winner, why: whyNotMeasured(job, rows) };
  } catch (error) {
    await trial.close();
    throw error;
  }
}

/** Rows of the largest micro-batch that is tried without measuring. */
const MOST_ROWS = 256;

function mostFor(rows: number | null | undefined): (plan: Plan) => number {
  return ({ stages }) => Math.min(MOST_ROWS, largestMicroBatch(rows, stages));
}

/** Seconds of work for each size if time is short, and the fewest seconds for two sizes with their preparations. */
const SIZE = { secondsPerSize: 0.05, least: 0.2 };

export interface ResizeOptions {
  /** What the search may take. */
  readonly seconds: number;
  readonly pace: FirstPace;
  /** Rows of the micro-batch that the job would start with. */
  readonly from: number;
  readonly busy: () => number | null;
}

/**
 * Finds a better micro-batch for a loaded trial within `seconds`, if its size is open and the machine is not `busy`. If time is too short to
 * try sizes, it takes the one that the first `pace` suggests.
 */
export async function resize(
  trial: Trial,
  { graph, microBatch: asked, rows }: Pick<Known, 'microBatch' | 'rows'> & { readonly graph: ModelGraph },
  { seconds, pace, from, busy }: ResizeOptions,
): Promise<void> {
  if (!isSizeOpen(graph, { microBatch: asked })) return;
  const { plan } = trial;
  // The first of two sizes must not take all the time.
  const firstRows = (4 * workersOf(plan) + 1) * from;
  if (seconds < SIZE.least || firstRows / pace.rowsPerSecond > seconds / 2) {
    await trial.pipeline.adopt({ ...plan, microBatch: Math.min(pace.microBatch, from) });
    return;
  }
  const { microBatch } = await bestSize(trial, {
    ...{ most: mostFor(rows)(plan), from },
    ...{ seconds, secondsPerSize: SIZE.secondsPerSize },
  });
  // While other work runs, the timings of sizes are not reliable.
  await trial.pipeline.adopt({ ...plan, microBatch: (busy() ?? 0) >= BUSY ? from : microBatch });
}

/** The alternatives: a card, a worker for each core, all threads in each op, two stages. */
function alternativesOf(graph: ModelGraph, request: Known): AlternativePlan[] {
  if (request.stages?.length) return [];
  const cores = readCores();
  const each = Math.max(1, Math.floor(cores / 2));
  const choices: StageOptions[][] = [
    [{ device: 'cpu' }],
    [
      { device: 'cpu', threads: each },
      { device: 'cpu', threads: each },
    ],
  ];
  if (cores > 2 && haveRoom(graph, cores)) choices.unshift([{ device: 'cpu', workers: cores, threads: 1 }]);
  if (hasOpenCard(request)) choices.unshift([{ device: 'gpu' }]);
  return choices
    .filter((stages) => stages.length <= Math.min(cores, graph.layers.length))
    .map((stages) => ({
      name:
        stages.length > 1
          ? `${stages.length} stages: ${stages.map(({ device }) => device).join(', ')}`
          : oneStage(stages[0]!, cores),
      make: () => makePlan(graph, { ...request, stages }),
    }));
}

function nameOf({ stages }: Plan): string {
  const [first] = stages;
  if (stages.length > 1) return `${stages.length} stages: ${stages.map(({ device }) => device).join(', ')}`;
  return oneStage(first!, first!.threads);
}

function oneStage({ device, workers = 1, threads }: StageOptions, all: number): string {
  const count = threads ?? all;
  return `1 stage: ${device}, ${workers} x ${count} thread${count === 1 ? '' : 's'}`;
}

function whyNotMeasured(job: JobEstimate, rows: number | null | undefined): string {
  const takes = rows == null ? 'how many rows come is not known' : `the job takes about ${rounded(job.seconds)} s`;
  return `the layers were not measured, which takes about ${rounded(secondsFor('measured', job))} s: ${takes}; tandem plan measures them`;
}

function rounded(seconds: number): string {
  return seconds < 10 ? seconds.toPrecision(2) : grouped(Math.round(seconds));
}
