/** Verification: tries the most promising plans on loaded pipelines and chooses the fastest. */
import { isCpu } from '../../engine/device.js';
import { asTandemError } from '../../errors.js';
import { hasBudget, mebibytes, noFit } from '../../plan/budget.js';
import type { Alternative, Plan } from '../../plan/plan.js';
import { sum } from '../../sums.js';
import { withStart } from '../../timeline/estimate.js';
import { largestMicroBatch } from '../job-rows.js';
import { ratiosByRound } from '../measure/by-round.js';
import { median } from '../measure/median.js';
import type { Search } from '../search/allocation.js';
import { type Candidate, candidateOf, type Scales } from '../search/candidate.js';
import type { Topology } from '../search/topology.js';
import { bestSize } from './best-size.js';
import { paceOf } from './shift-cut.js';
import { shiftWhileFaster } from './shift-while-faster.js';
import type { Observation } from './trial.js';
import { overBudget, type TrialSettings, type Tried, tryOut, verified } from './try-out.js';

/** Plans whose estimate is within this share of the best are tried, at most so many. */
const PROMISING = { share: 0.85, most: 3 };

/**
 * Plans are measured interleaved, in `count` rounds of `watched` seconds each. A plan that is slower by the share `behind` drops out. No round
 * is started that would end later than `most` seconds. If a micro-batch takes longer than `longest` seconds, there are no rounds: each trial
 * was long enough by itself.
 */
const ROUNDS = { count: 3, watched: 0.4, behind: 0.05, most: 5, longest: 0.5 };

/** Seconds for which the fastest plan is measured in total before its rate is reported: a machine changes its speed from second to second. */
const WATCH_SECONDS = 5;

/** Tries the most promising plans and returns the fastest. `absent` are the devices that could not be measured. Errors as of `Trial.open`. */
export async function fastestOf(
  search: Search,
  candidates: readonly Candidate[],
  absent: readonly Alternative[],
  request: TrialSettings,
): Promise<Plan> {
  const feasible = candidates
    .flatMap(({ topology, plan }) => (plan ? [{ topology, plan }] : []))
    .sort((a, b) => rateOf(b.plan) - rateOf(a.plan));
  const promising = feasible
    .filter(({ plan }) => rateOf(plan) >= PROMISING.share * rateOf(feasible[0]!.plan))
    .slice(0, PROMISING.most);
  const tried: Tried[] = [];
  const failures: { name: string; error: unknown }[] = [];
  const left = [...feasible];
  try {
    for (const each of feasible) {
      // If all of these fail, the others are tried.
      if (tried.length > 0 && !promising.includes(each)) break;
      const { topology, plan } = each;
      left.shift();
      request.onProgress?.(`trying ${tried.length + failures.length + 1} of ${promising.length}: ${topology.name}`);
      try {
        const own = await tryAlongside(search, tried, topology, plan, {}, request);
        await shiftWhileFaster(
          search,
          own,
          () => Math.max(...tried.map((each) => rateOf(each.plan))),
          (shifted, scales) => tryAlongside(search, tried, topology, shifted, scales, request),
        );
      } catch (error) {
        failures.push({ name: topology.name, error });
      }
    }
    if (tried.length === 0) throw failures[0]!.error;
    const [fastest, ...losers] = await interleaved(tried, request);
    const winner = await atBestSize(search, await recheck(search, tried, fastest!, request), request);
    const worked = new Set(tried.map(({ topology }) => topology.name));
    const failed = failures
      .filter(({ name }) => !worked.has(name))
      .map(({ name, error }) => ({ name, rowsPerSecond: null, why: asTandemError(error).message }));
    // Another cut of the same topology is not listed as an alternative.
    const others = alternatives(
      losers.filter(({ topology }) => topology !== winner.topology),
      left.map(({ topology, plan }) => ({ topology, plan: withRate(plan, rateOf(plan) * keptInTrial(winner.plan)) })),
      candidates,
      [...failed, ...absent],
    );
    const plan = withStart(winner.plan, winner.firstRuns);
    return { ...plan, expected: { ...plan.expected!, others } };
  } finally {
    await closeAll(tried);
  }
}

/** The measured rate as a share of the rate by the stages' times alone. Plans that were not tried would hardly keep a larger share. */
export function keptInTrial(plan: Plan): number {
  return Math.min(1, rateOf(plan) / paceOf({ plan }));
}

/**
 * Checks the fastest plan's budgets again, because a process may have grown since its trial. If one is exceeded, plans once more with the
 * bytes that it holds now. Throws TANDEM_PLAN_IMPOSSIBLE.
 */
async function recheck(search: Search, tried: Tried[], fastest: Tried, request: TrialSettings): Promise<Tried> {
  const { topology, plan, scales, trial } = fastest;
  const bytesOf = (each: Plan) => each.expected!.stages.map(({ bytes }) => bytes);
  const now = bytesOf(plan);
  const held = plan.stages.map(({ memory }, j) => (memory === undefined ? null : now[j]!));
  const over = overBudget(plan, held, Number.POSITIVE_INFINITY);
  if (!over) return fastest;
  await trial.close();
  const then = bytesOf(tried.find((each) => each.trial === trial)!.plan);
  const bytes = scales.bytes.map((scale, j) => (scale * now[j]!) / then[j]!);
  const next = candidateOf(search, topology, { bytes }).plan;
  if (!next) throw noFit(`a plan of ${topology.name}`, over);
  return tryAlongside(search, tried, topology, next, { bytes }, request);
}

/** Seconds for trying other micro-batch sizes on the fastest plan while it is loaded, and the share that a new size must gain. */
const RESIZED = { seconds: 3, gain: 0.03 };

/** The best size for a few layers alone need not be the best for the pipeline, where wake-ups and filling count too. */
async function atBestSize({ graph }: Search, fastest: Tried, request: TrialSettings): Promise<Tried> {
  const { trial, plan } = fastest;
  if (request.microBatch !== undefined || graph.fixedBatch !== null || trial.closed || hasBudget(plan.stages))
    return fastest;
  if (plan.microBatch / rateOf(plan) > ROUNDS.longest) return fastest;
  request.onProgress?.('trying sizes of the micro-batch');
  const most = largestMicroBatch(request.rows, plan.stages);
  const { microBatch } = await bestSize(trial, { most, from: plan.microBatch, seconds: RESIZED.seconds });
  if (microBatch === plan.microBatch) return fastest;
  const measureAt = async (size: Plan) => {
    await trial.pipeline.adopt(size);
    await trial.watch(ROUNDS.watched);
    return trial.watch(WATCH_SECONDS / 4);
  };
  const before = await measureAt(plan);
  const resized = { ...plan, microBatch };
  const observed = await measureAt(resized);
  if (observed.rowsPerSecond < before.rowsPerSecond * (1 + RESIZED.gain)) return fastest;
  const firstRuns = fastest.firstRuns.map((run) => ({
    ...run,
    microBatches: Math.max(1, Math.round((run.microBatches * plan.microBatch) / microBatch)),
  }));
  return { ...fastest, plan: verified(resized, observed), observed, firstRuns };
}

function rateOf({ expected }: Plan): number {
  return expected!.rowsPerSecond;
}

/** Tries a plan with the earlier ones still loaded; if it does not fit, these are closed first. */
async function tryAlongside(
  search: Search,
  tried: Tried[],
  topology: Topology,
  plan: Plan,
  scales: Scales,
  request: TrialSettings,
): Promise<Tried> {
  if (!fitsAlongside(search, tried, plan)) await closeAll(tried);
  const own = await tryOut(search, topology, plan, scales, request);
  tried.push(own);
  return own;
}

function fitsAlongside({ free }: Search, tried: readonly Tried[], plan: Plan): boolean {
  const open = tried.filter(({ trial }) => !trial.closed).map((each) => each.plan);
  const held = new Map<string, number>();
  for (const { stages, expected } of [...open, plan]) {
    for (const [j, { device }] of stages.entries()) {
      const memory = isCpu(device) ? 'cpu' : device;
      held.set(memory, (held.get(memory) ?? 0) + expected!.stages[j]!.bytes);
    }
  }
  return [...held].every(([device, bytes]) => bytes <= free(device));
}

async function closeAll(tried: readonly Tried[]): Promise<void> {
  await Promise.all(tried.map(({ trial }) => trial.close()));
}

/** A trial that is still loaded, with an observation for each round. */
interface WatchedTrial {
  readonly tried: Tried;
  readonly observed: Observation[];
}

/**
 * Ranks the tried plans, the fastest first. Plans that are still loaded are measured again, interleaved, because a machine that changes its
 * speed changes it for all: each is rated by its share of the total of its round. Other work may slow a single observation, so a plan drops
 * out only if its best observation is behind.
 */
async function interleaved(tried: readonly Tried[], request: TrialSettings): Promise<Tried[]> {
  let open: WatchedTrial[] = tried.filter(({ trial }) => !trial.closed).map((each) => ({ tried: each, observed: [] }));
  const isLong = ({ tried: { plan } }: WatchedTrial) => plan.microBatch / rateOf(plan) > ROUNDS.longest;
  if (open.length === 1 || open.some(isLong)) open = [];
  const ranked = tried.filter((each) => !open.some((one) => one.tried === each));
  const behind: { tried: Tried; share: number }[] = [];
  const begun = performance.now();
  for (let round = 1; open.length > 0 && round <= ROUNDS.count; round++) {
    const roundMillis = round > 1 ? (performance.now() - begun) / (round - 1) : 0;
    if (round * roundMillis > ROUNDS.most * 1e3) break;
    request.onProgress?.(`comparing the fastest, round ${round} of ${ROUNDS.count}`);
    for (const { tried, observed } of open) observed.push(await tried.trial.watch(ROUNDS.watched));
    const most = Math.max(...open.map(bestRate));
    const stays = (each: WatchedTrial) => bestRate(each) >= most * (1 - ROUNDS.behind);
    for (const each of open) if (!stays(each)) behind.push({ tried: each.tried, share: bestRate(each) / most });
    open = open.filter(stays);
  }
  if (open.length === 0) return withLongWatch(tried.toSorted(faster), request);
  const shares = sharesOf(open.map(({ observed }) => observed));
  const most = Math.max(...shares);
  const winner = await watchLong(open[shares.indexOf(most)]!, request);
  const losers = open
    .map(({ tried }, n) => ({ tried, share: shares[n]! / most }))
    .filter((each) => each.tried !== winner.tried);
  for (const { tried, share } of [...losers, ...behind])
    ranked.push({ ...tried, plan: withRate(tried.plan, Math.min(share, 1) * rateOf(winner.plan)) });
  return [{ ...winner.tried, plan: winner.plan }, ...ranked].toSorted(faster);
}

/** Measures the first plan for as long as a reported rate needs, if it is still loaded. */
async function withLongWatch([fastest, ...others]: readonly Tried[], request: TrialSettings): Promise<Tried[]> {
  if (fastest!.trial.closed) return [fastest!, ...others];
  const { plan } = await watchLong({ tried: fastest!, observed: [] }, request);
  return [{ ...fastest!, plan }, ...others];
}

/** The rate to report: over everything observed, since other work slows the real run too. */
async function watchLong(
  { tried, observed: again }: WatchedTrial,
  request: TrialSettings,
): Promise<{ tried: Tried; plan: Plan }> {
  request.onProgress?.(`watching the fastest: ${tried.topology.name}`);
  const { microBatch } = tried.plan;
  const observed = [tried.observed, ...again];
  const watched = () =>
    sum(observed.map(({ microBatches, rowsPerSecond }) => (microBatches * microBatch) / rowsPerSecond));
  if (watched() < WATCH_SECONDS) observed.push(await tried.trial.watch(WATCH_SECONDS - watched(), 1));
  const count = sum(observed.map(({ microBatches }) => microBatches));
  const meanOf = (stage: number) =>
    sum(observed.map(({ microBatches, stageSeconds }) => microBatches * stageSeconds[stage]!)) / count;
  const stageSeconds = tried.plan.stages.map((_, stage) => meanOf(stage));
  const rowsPerSecond = (count * microBatch) / watched();
  const plan = verified(tried.plan, { ...observed.at(-1)!, rowsPerSecond, stageSeconds });
  return { tried, plan: { ...plan, expected: { ...plan.expected!, noise: noiseOf(observed) } } };
}

/** The share by which its observations differ. */
function noiseOf(observed: readonly Observation[]): number {
  const rates = observed.map(({ rowsPerSecond }) => rowsPerSecond);
  return 1 - Math.min(...rates) / Math.max(...rates);
}

function bestRate({ tried, observed }: WatchedTrial): number {
  return Math.max(rateOf(tried.plan), ...observed.map(({ rowsPerSecond }) => rowsPerSecond));
}

/** Each plan's share of the total rate of a round, the median over the rounds. */
function sharesOf(observed: readonly (readonly Observation[])[]): number[] {
  const sums = observed[0]?.map((_, round) => sum(observed.map((own) => own[round]!.rowsPerSecond))) ?? [];
  return observed.map((own) =>
    median(
      ratiosByRound(
        own.map(({ rowsPerSecond }) => rowsPerSecond),
        sums,
      ),
    ),
  );
}

function withRate(plan: Plan, rowsPerSecond: number): Plan {
  return { ...plan, expected: { ...plan.expected!, rowsPerSecond } };
}

function faster(a: Tried, b: Tried): number {
  return rateOf(b.plan) - rateOf(a.plan) || a.plan.stages.length - b.plan.stages.length;
}

function alternatives(
  losers: readonly Tried[],
  left: readonly { topology: Topology; plan: Plan }[],
  candidates: readonly Candidate[],
  absent: readonly Alternative[],
): Alternative[] {
  const slower = new Map(losers.toReversed().map(({ topology, plan }) => [topology.name, rateOf(plan)]));
  return [
    ...[...slower].map(([name, rowsPerSecond]) => ({ name, rowsPerSecond, why: 'slower when tried' })),
    ...left.map(({ topology, plan }) => ({
      name: topology.name,
      rowsPerSecond: rateOf(plan),
      why: 'slower by measurement',
    })),
    ...candidates
      .filter(({ plan }) => !plan)
      .map(({ topology, requirement }) => ({
        name: topology.name,
        rowsPerSecond: null,
        why: `does not fit: ${requirement.stage === null ? 'it' : `stage ${requirement.stage}`} needs ${mebibytes(requirement.bytes)}`,
      })),
    ...absent,
  ];
}
