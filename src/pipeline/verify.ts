/** Verification: the likeliest plans are tried on loaded pipelines, and the fastest is taken. */
import { isCpu } from '../engine/registry.js';
import { asTandemError } from '../errors.js';
import { mebibytes } from '../plan/budget.js';
import type { Candidate } from '../plan/candidate.js';
import type { Form } from '../plan/form.js';
import { median } from '../plan/median.js';
import type { Plan, Rival } from '../plan/plan.js';
import type { Search } from '../plan/staffing.js';
import { sum } from '../plan/sums.js';
import type { Seen } from './rehearsal.js';
import { shiftCut, type TrialSettings, type Tried, verified } from './shift-cut.js';

/** Plans that come so near to the best, by the profile, are tried; at most so many. */
const LIKELY = { share: 0.85, most: 3 };

/**
 * Turns in which plans are watched beside each other, and seconds of steady work in each; who is `behind` by this share is watched no more. Where
 * a micro-batch takes longer than `longest` seconds, a plan has been watched for long by itself.
 */
const TURNS = { count: 3, watched: 0.4, behind: 0.05, longest: 0.25 };

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
      // Those that do not fit beside it have been seen by themselves.
      if (!fitBeside(search, tried, plan)) await closeAll(tried);
      try {
        const toBeat = Math.max(0, ...tried.map((each) => rateOf(each.plan)));
        tried.push(await shiftCut(search, form, plan, toBeat, request));
      } catch (error) {
        failures.push({ name: form.name, error });
      }
    }
    if (tried.length === 0) throw failures[0]!.error;
    const [winner, ...losers] = await inTurn(tried, request);
    const failed = failures.map(({ name, error }) => ({
      name,
      rowsPerSecond: null,
      why: asTandemError(error).message,
    }));
    const others = rivals(losers, left, candidates, [...failed, ...absent]);
    return { ...winner!.plan, expected: { ...winner!.plan.expected!, others } };
  } finally {
    await closeAll(tried);
  }
}

function rateOf({ expected }: Plan): number {
  return expected!.rowsPerSecond;
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

/**
 * The fastest first. Those that are still loaded are watched again in turn, because a machine that changes its speed changes it for all: each
 * counts by its share of what its rivals did in the same turn. The promise is of the last to stay.
 */
async function inTurn(tried: readonly Tried[], { onProgress }: TrialSettings): Promise<Tried[]> {
  let open = tried.filter(({ rehearsal }) => !rehearsal.closed).map((each) => ({ tried: each, seen: [] as Seen[] }));
  if (open.some(({ tried: { plan } }) => plan.microBatch / rateOf(plan) > TURNS.longest)) open = [];
  const ranked = tried.filter((each) => !open.some((one) => one.tried === each));
  const behind: { tried: Tried; share: number }[] = [];
  for (let turn = 1; open.length > 0 && turn <= TURNS.count; turn++) {
    onProgress?.(`trying in turn, ${turn} of ${TURNS.count}`);
    for (const { tried, seen } of open) seen.push(await tried.rehearsal.watch(TURNS.watched));
    const shares = sharesOf(open.map(({ seen }) => seen));
    const most = Math.max(...shares);
    const stays = shares.map((share) => share >= most * (1 - TURNS.behind));
    behind.push(...open.flatMap(({ tried }, n) => (stays[n] ? [] : [{ tried, share: shares[n]! / most }])));
    open = open.filter((_, n) => stays[n]);
  }
  const shares = sharesOf(open.map(({ seen }) => seen));
  const together = median(open[0]?.seen.map((_, turn) => sum(open.map(({ seen }) => seen[turn]!.rowsPerSecond))) ?? []);
  for (const [n, { tried, seen }] of open.entries())
    ranked.push({ ...tried, plan: verified(tried.plan, { ...seen.at(-1)!, rowsPerSecond: shares[n]! * together }) });
  const best = Math.max(...shares) * together;
  for (const { tried, share } of behind) ranked.push({ ...tried, plan: withRate(tried.plan, share * best) });
  return ranked.toSorted(faster);
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
  return [
    ...losers.map(({ form, plan }) => ({ name: form.name, rowsPerSecond: rateOf(plan), why: 'slower when tried' })),
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
