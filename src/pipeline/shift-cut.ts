/** Shifting the cut: a plan is rehearsed, and its cut moved where the loaded stages say that it helps. */
import { sharesOf } from '../arena/turns.js';
import { isCpu } from '../engine/registry.js';
import { hasBudget, noFit } from '../plan/budget.js';
import { candidateOf, type Scales } from '../plan/candidate.js';
import type { Form } from '../plan/form.js';
import { geometricMean } from '../plan/geometric-mean.js';
import type { Need } from '../plan/need.js';
import type { Plan } from '../plan/plan.js';
import type { Search } from '../plan/staffing.js';
import { sum } from '../sums.js';
import type { TensorSpec } from '../tensor.js';
import type { Whole } from './promise.js';
import { Rehearsal, type Seen } from './rehearsal.js';
import { intervalOf } from './schedule.js';

export interface TrialSettings {
  readonly rowSpecs: readonly TensorSpec[];
  readonly allowFallback: boolean;
  /** Milliseconds. */
  readonly deadline: number;
  readonly onProgress?: (text: string) => void;
}

export interface Tried {
  readonly form: Form;
  /** With what its rehearsal has shown. */
  readonly plan: Plan;
  readonly scales: Required<Scales>;
  /** The last look at it. */
  readonly seen: Seen;
  /** Its first runs, until it was steady. */
  readonly first: readonly Whole[];
  /** Still loaded, unless it had to make room. */
  readonly rehearsal: Rehearsal;
}

/** The share that a shifted cut must gain. */
const GAIN = 0.02;

/**
 * Seconds of work that a rehearsal watches, again and again until it gets no faster by this share; looks at most. Where a micro-batch takes longer
 * than `longest` seconds, what engines compile in their first runs is little beside it.
 */
const WATCHED = { seconds: 0.5, gain: 0.05, looks: 5, longest: 0.1 };

/** Seconds of work after which a process is held to its budget: what the language runtime keeps grows for a while. */
const GROWN = 1.5;

/** What a rehearsal has shown of one cut. */
export type Shown = Pick<Tried, 'form' | 'plan' | 'scales'>;

/** A cut to be tried next, reckoned with `scales`, and the share by which it should be faster than the best that were tried. */
export interface Shift {
  readonly plan: Plan;
  readonly scales: Required<Scales>;
  readonly gain: number;
}

/**
 * The cut that would be best if all layers of a stage differed from the profile as the stage did, on the mean of the cuts of one form that were tried: a
 * machine that changes its pace between two looks does not do so between two stages that are at work together. `null` where that gains nothing
 * over those, or would not lift the fastest of them to `toBeat` rows a second.
 */
export function shiftCut(search: Search, shown: readonly Shown[], toBeat: number): Shift | null {
  const scales = meanOf(shown.map((each) => each.scales));
  const { plan } = candidateOf(search, shown[0]!.form, scales);
  if (!plan || shown.some((each) => sameCut(each.plan, plan))) return null;
  const ratio = plan.expected!.rowsPerSecond / Math.max(...shown.map((each) => paceUnder(each, scales)));
  const fastest = Math.max(...shown.map((each) => each.plan.expected!.rowsPerSecond));
  return ratio < 1 + GAIN || ratio * fastest < toBeat ? null : { plan, scales, gain: ratio - 1 };
}

/** Of the seconds the mean of all looks, of the bytes the most. */
function meanOf(all: readonly Required<Scales>[]): Required<Scales> {
  const [first] = all;
  return {
    seconds: first!.seconds.map((_, j) => geometricMean(all.map(({ seconds }) => seconds[j]!))),
    bytes: first!.bytes.map((_, j) => Math.max(...all.map(({ bytes }) => bytes[j]!))),
  };
}

/** Rows a second of a cut that was tried, by the stages' times alone, if these took as long as `seconds` says and not as they did then. */
function paceUnder({ plan, scales }: Shown, { seconds }: Required<Scales>): number {
  const { expected } = plan;
  const then = expected!.stages.map((stage, j) => ({
    ...stage,
    seconds: (stage.seconds * seconds[j]!) / scales.seconds[j]!,
  }));
  return paceOf({ plan: { ...plan, expected: { ...expected!, stages: then } } });
}

/**
 * Cuts of one form that are tried at most, besides the first, and seconds after which no other is begun: what loads for long is shifted once, unless
 * the next shift is `sure` to gain something.
 */
const MOST = { shifts: 3, seconds: 4, sure: { gain: 0.05, seconds: 10 } };

/**
 * Shifts the cut for as long as what was seen says that it helps; no cut is tried twice. `attempt` tries one, reckoned with such scales; `toBeat` tells
 * the rows a second of the fastest plan so far, of any form. All that were tried are returned.
 */
export async function shiftWhileFaster<T extends Shown>(
  search: Search,
  first: T,
  toBeat: () => number,
  attempt: (plan: Plan, scales: Scales) => Promise<T>,
): Promise<T[]> {
  const shown = [first];
  const begun = performance.now();
  while (shown.length <= MOST.shifts) {
    const shift = shiftCut(search, shown, toBeat());
    if (!shift) break;
    const seconds = shift.gain >= MOST.sure.gain ? MOST.sure.seconds : MOST.seconds;
    if (performance.now() - begun > seconds * 1e3) break;
    shown.push(await attempt(shift.plan, shift.scales));
  }
  return shown;
}

/** Rows a second by the stages' times alone, as those of a plan that has not been tried. */
export function paceOf({ plan: { stages, expected, microBatch } }: Pick<Tried, 'plan'>): number {
  const times = stages.map(({ workers }, j) => ({ seconds: expected!.stages[j]!.seconds, workers }));
  return microBatch / intervalOf(times, sharesOf(stages));
}

/**
 * Loads a plan that was made with the scales `before` and watches it. Planned again, once, where a process went over its budget. Errors as of
 * `Rehearsal.open`, and TANDEM_PLAN_IMPOSSIBLE.
 */
export async function tryOut(
  search: Search,
  form: Form,
  plan: Plan,
  before: Scales,
  request: TrialSettings,
): Promise<Tried> {
  const settings = { allowFallback: request.allowFallback, deadline: request.deadline, holdBudgets: false };
  const rehearsal = await Rehearsal.open(search.graph, plan, request.rowSpecs, settings);
  let over: Need | null;
  let bytes: readonly number[];
  try {
    const { seen, first } = await watchSteady(rehearsal);
    const { stages } = plan.expected!;
    const peakBytes = hasBudget(plan.stages) ? (await rehearsal.watch(GROWN)).peakBytes : seen.peakBytes;
    const seconds = stages.map((stage, j) => times(before.seconds, j) * ratio(seen.stageSeconds[j]!, stage.seconds));
    bytes = stages.map((stage, j) => times(before.bytes, j) * Math.max(1, ratio(peakBytes[j] ?? 0, stage.bytes)));
    over = overBudget(plan, peakBytes, search.free('cpu'));
    if (!over)
      return { form, plan: verified(plan, { ...seen, peakBytes }), scales: { seconds, bytes }, seen, first, rehearsal };
  } catch (error) {
    await rehearsal.close();
    throw error;
  }
  await rehearsal.close();
  const next = before.bytes ? null : candidateOf(search, form, { bytes }).plan;
  if (!next) throw noFit(`a plan of ${form.name}`, over);
  return tryOut(search, form, next, { bytes }, request);
}

async function watchSteady(rehearsal: Rehearsal): Promise<{ seen: Seen; first: Whole[] }> {
  let seen = await rehearsal.watch(WATCHED.seconds);
  const first = [seen.whole];
  if (rehearsal.plan.microBatch / seen.rowsPerSecond > WATCHED.longest) return { seen, first };
  for (let looks = 1; looks < WATCHED.looks; looks++) {
    const before = seen.rowsPerSecond;
    seen = await rehearsal.watch(WATCHED.seconds);
    if (seen.rowsPerSecond < before * (1 + WATCHED.gain)) break;
    first.push(seen.whole);
  }
  return { seen, first };
}

function times(scales: readonly number[] | undefined, j: number): number {
  return scales?.[j] ?? 1;
}

function ratio(seen: number, expected: number): number {
  return expected > 0 && seen > 0 ? seen / expected : 1;
}

/** What its processes held, above what they may: each its own budget, and those without one all together `room` bytes. */
export function overBudget({ stages }: Plan, peakBytes: Seen['peakBytes'], room: number): Need | null {
  let together = 0;
  for (const [stage, { memory, device }] of stages.entries()) {
    const bytes = peakBytes[stage] ?? 0;
    if (memory !== undefined && bytes > memory) return { stage, bytes, given: memory };
    if (memory === undefined && isCpu(device)) together += bytes;
  }
  return together > room ? { stage: null, bytes: together, given: null } : null;
}

/** The plan with what was seen of it. */
export function verified(plan: Plan, { rowsPerSecond, stageSeconds, peakBytes }: Omit<Seen, 'whole'>): Plan {
  const { expected, stages, microBatch } = plan;
  const shares = sharesOf(stages);
  const utilisation = stages.map(({ workers }, j) =>
    Math.min(1, ((shares[j]! * stageSeconds[j]!) / workers / microBatch) * rowsPerSecond),
  );
  return {
    ...plan,
    expected: {
      ...expected!,
      rowsPerSecond,
      bubble: 1 - sum(utilisation) / stages.length,
      verified: true,
      stages: expected!.stages.map((stage, j) => ({
        ...stage,
        seconds: stageSeconds[j]!,
        bytes: Math.max(stage.bytes, peakBytes[j] ?? 0),
        utilisation: utilisation[j]!,
      })),
    },
  };
}

function sameCut(a: Plan, b: Plan): boolean {
  const shape = ({ stages }: Plan) =>
    stages.map(({ layers, workers, threads, turns = 1 }) => [layers.from, workers, threads, turns]).join(' ');
  return shape(a) === shape(b);
}
