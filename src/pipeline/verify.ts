/** Verification: the likeliest plans are tried on loaded pipelines, and the fastest is taken. */
import { isCpu } from '../engine/registry.js';
import { asTandemError } from '../errors.js';
import { mebibytes, noFit } from '../plan/budget.js';
import { type Candidate, candidateOf, type Scales } from '../plan/candidate.js';
import type { Form } from '../plan/form.js';
import { median } from '../plan/median.js';
import type { Plan, Rival } from '../plan/plan.js';
import type { Search } from '../plan/staffing.js';
import { sum } from '../sums.js';
import { withStart } from './promise.js';
import type { Seen } from './rehearsal.js';
import { overBudget, paceOf, shiftWhileFaster, type TrialSettings, type Tried, tryOut, verified } from './shift-cut.js';

/** Plans that come so near to the best, by the profile, are tried; at most so many. */
const LIKELY = { share: 0.85, most: 3 };

/**
 * Turns in which plans are watched beside each other, and seconds of steady work in each; who is `behind` by this share is watched no more. After the
 * first no turn is begun that would end later than `most` seconds; where a micro-batch takes longer than `longest` seconds a plan has been watched for
 * long by itself, and there are none.
 */
const TURNS = { count: 3, watched: 0.4, behind: 0.05, most: 5, longest: 0.5 };

/** Seconds in which the fastest is watched, all in all, before its pace is promised: from second to second the pace of a machine changes. */
const PROMISED = 5;

/** Tries the likely ones and takes the fastest; `absent` are devices that could not even be measured. Errors as of `Rehearsal.open`. */
export async function fastestOf(
  search: Search,
  candidates: readonly Candidate[],
  absent: readonly Rival[],
  request: TrialSettings,
): Promise<Plan> {
  const feasible = candidates
    .flatMap(({ form, plan }) => (plan ? [{ form, plan }] : []))
    .sort((a, b) => rateOf(b.plan) - rateOf(a.plan));
  const likely = feasible
    .filter(({ plan }) => rateOf(plan) >= LIKELY.share * rateOf(feasible[0]!.plan))
    .slice(0, LIKELY.most);
  const tried: Tried[] = [];
  const failures: { name: string; error: unknown }[] = [];
  const left = [...feasible];
  try {
    for (const each of feasible) {
      // When all of the likely ones fail, the others have their turn.
      if (tried.length > 0 && !likely.includes(each)) break;
      const { form, plan } = each;
      left.shift();
      request.onProgress?.(`trying ${tried.length + failures.length + 1} of ${likely.length}: ${form.name}`);
      try {
        const own = await tryBeside(search, tried, form, plan, {}, request);
        await shiftWhileFaster(
          search,
          own,
          () => Math.max(...tried.map((each) => rateOf(each.plan))),
          (shifted, scales) => tryBeside(search, tried, form, shifted, scales, request),
        );
      } catch (error) {
        failures.push({ name: form.name, error });
      }
    }
    if (tried.length === 0) throw failures[0]!.error;
    const [fastest, ...losers] = await inTurn(tried, request);
    const winner = await lasting(search, tried, fastest!, request);
    const worked = new Set(tried.map(({ form }) => form.name));
    const failed = failures
      .filter(({ name }) => !worked.has(name))
      .map(({ name, error }) => ({
        name,
        rowsPerSecond: null,
        why: asTandemError(error).message,
      }));
    // Another cut of the same form is no rival.
    const others = rivals(
      losers.filter(({ form }) => form !== winner.form),
      left.map(({ form, plan }) => ({ form, plan: withRate(plan, rateOf(plan) * keptInTrial(winner.plan)) })),
      candidates,
      [...failed, ...absent],
    );
    const plan = withStart(winner.plan, winner.first);
    return { ...plan, expected: { ...plan.expected!, others } };
  } finally {
    await closeAll(tried);
  }
}

/** What a trial has left of the pace that the stages' times alone would give: those that were not tried would hardly keep more. */
export function keptInTrial(plan: Plan): number {
  return Math.min(1, rateOf(plan) / paceOf({ plan }));
}

/** A process may have grown since its plan was first tried: then it is planned once more, with what it holds now. Throws TANDEM_PLAN_IMPOSSIBLE. */
async function lasting(search: Search, tried: Tried[], fastest: Tried, request: TrialSettings): Promise<Tried> {
  const { form, plan, scales, rehearsal } = fastest;
  const bytesOf = (each: Plan) => each.expected!.stages.map(({ bytes }) => bytes);
  const now = bytesOf(plan);
  const held = plan.stages.map(({ memory }, j) => (memory === undefined ? null : now[j]!));
  const over = overBudget(plan, held, Number.POSITIVE_INFINITY);
  if (!over) return fastest;
  await rehearsal.close();
  const then = bytesOf(tried.find((each) => each.rehearsal === rehearsal)!.plan);
  const bytes = scales.bytes.map((scale, j) => (scale * now[j]!) / then[j]!);
  const next = candidateOf(search, form, { bytes }).plan;
  if (!next) throw noFit(`a plan of ${form.name}`, over);
  return tryBeside(search, tried, form, next, { bytes }, request);
}

function rateOf({ expected }: Plan): number {
  return expected!.rowsPerSecond;
}

/** Those that do not fit beside it have been seen by themselves. */
async function tryBeside(
  search: Search,
  tried: Tried[],
  form: Form,
  plan: Plan,
  scales: Scales,
  request: TrialSettings,
): Promise<Tried> {
  if (!fitBeside(search, tried, plan)) await closeAll(tried);
  const own = await tryOut(search, form, plan, scales, request);
  tried.push(own);
  return own;
}

function fitBeside({ free }: Search, tried: readonly Tried[], plan: Plan): boolean {
  const open = tried.filter(({ rehearsal }) => !rehearsal.closed).map((each) => each.plan);
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
  await Promise.all(tried.map(({ rehearsal }) => rehearsal.close()));
}

/** One that is still loaded, each time that it was watched in turn. */
interface Contender {
  readonly tried: Tried;
  readonly seen: Seen[];
}

/**
 * The fastest first. Those that are still loaded are watched again in turn, because a machine that changes its speed changes it for all: each
 * counts by its share of what its rivals did in the same turn. What other work takes from one look it may give to the next: who is behind with
 * the best of his looks is behind.
 */
async function inTurn(tried: readonly Tried[], request: TrialSettings): Promise<Tried[]> {
  let open: Contender[] = tried.filter(({ rehearsal }) => !rehearsal.closed).map((each) => ({ tried: each, seen: [] }));
  const isLong = ({ tried: { plan } }: Contender) => plan.microBatch / rateOf(plan) > TURNS.longest;
  if (open.length === 1 || open.some(isLong)) open = [];
  const ranked = tried.filter((each) => !open.some((one) => one.tried === each));
  const behind: { tried: Tried; share: number }[] = [];
  const begun = performance.now();
  for (let turn = 1; open.length > 0 && turn <= TURNS.count; turn++) {
    const turnMillis = turn > 1 ? (performance.now() - begun) / (turn - 1) : 0;
    if (turn * turnMillis > TURNS.most * 1e3) break;
    request.onProgress?.(`trying in turn, ${turn} of ${TURNS.count}`);
    for (const { tried, seen } of open) seen.push(await tried.rehearsal.watch(TURNS.watched));
    const most = Math.max(...open.map(bestLook));
    const stays = (each: Contender) => bestLook(each) >= most * (1 - TURNS.behind);
    for (const each of open) if (!stays(each)) behind.push({ tried: each.tried, share: bestLook(each) / most });
    open = open.filter(stays);
  }
  if (open.length === 0) return promised(tried.toSorted(faster), request);
  const shares = sharesOf(open.map(({ seen }) => seen));
  const most = Math.max(...shares);
  const winner = await watchLong(open[shares.indexOf(most)]!, request);
  const losers = open
    .map(({ tried }, n) => ({ tried, share: shares[n]! / most }))
    .filter((each) => each.tried !== winner.tried);
  for (const { tried, share } of [...losers, ...behind])
    ranked.push({ ...tried, plan: withRate(tried.plan, Math.min(share, 1) * rateOf(winner.plan)) });
  return [{ ...winner.tried, plan: winner.plan }, ...ranked].toSorted(faster);
}

/** The first of them is watched for as long as any whose pace is promised, if it is still loaded. */
async function promised([fastest, ...others]: readonly Tried[], request: TrialSettings): Promise<Tried[]> {
  if (fastest!.rehearsal.closed) return [fastest!, ...others];
  const { plan } = await watchLong({ tried: fastest!, seen: [] }, request);
  return [{ ...fastest!, plan }, ...others];
}

/** What it will do is what it did, all in all: other work slows the run too. */
async function watchLong(
  { tried, seen: again }: Contender,
  request: TrialSettings,
): Promise<{ tried: Tried; plan: Plan }> {
  request.onProgress?.(`watching the fastest: ${tried.form.name}`);
  const { microBatch } = tried.plan;
  const seen = [tried.seen, ...again];
  const watched = () => sum(seen.map(({ microBatches, rowsPerSecond }) => (microBatches * microBatch) / rowsPerSecond));
  if (watched() < PROMISED) seen.push(await tried.rehearsal.watch(PROMISED - watched(), 1));
  const count = sum(seen.map(({ microBatches }) => microBatches));
  const meanOf = (stage: number) =>
    sum(seen.map(({ microBatches, stageSeconds }) => microBatches * stageSeconds[stage]!)) / count;
  const stageSeconds = tried.plan.stages.map((_, stage) => meanOf(stage));
  const rowsPerSecond = (count * microBatch) / watched();
  return { tried, plan: verified(tried.plan, { ...seen.at(-1)!, rowsPerSecond, stageSeconds }) };
}

function bestLook({ tried, seen }: Contender): number {
  return Math.max(rateOf(tried.plan), ...seen.map(({ rowsPerSecond }) => rowsPerSecond));
}

/** Of what all did together in a turn, the median of the turns. */
function sharesOf(seen: readonly (readonly Seen[])[]): number[] {
  const sums = seen[0]?.map((_, turn) => sum(seen.map((own) => own[turn]!.rowsPerSecond))) ?? [];
  return seen.map((own) => median(own.map(({ rowsPerSecond }, turn) => rowsPerSecond / sums[turn]!)));
}

function withRate(plan: Plan, rowsPerSecond: number): Plan {
  return { ...plan, expected: { ...plan.expected!, rowsPerSecond } };
}

function faster(a: Tried, b: Tried): number {
  return rateOf(b.plan) - rateOf(a.plan) || a.plan.stages.length - b.plan.stages.length;
}

function rivals(
  losers: readonly Tried[],
  left: readonly { form: Form; plan: Plan }[],
  candidates: readonly Candidate[],
  absent: readonly Rival[],
): Rival[] {
  const slower = new Map(losers.toReversed().map(({ form, plan }) => [form.name, rateOf(plan)]));
  return [
    ...[...slower].map(([name, rowsPerSecond]) => ({ name, rowsPerSecond, why: 'slower when tried' })),
    ...left.map(({ form, plan }) => ({
      name: form.name,
      rowsPerSecond: rateOf(plan),
      why: 'slower by what was measured',
    })),
    ...candidates
      .filter(({ plan }) => !plan)
      .map(({ form, need }) => ({
        name: form.name,
        rowsPerSecond: null,
        why: `does not fit: ${need.stage === null ? 'it' : `stage ${need.stage}`} needs ${mebibytes(need.bytes)}`,
      })),
    ...absent,
  ];
}
