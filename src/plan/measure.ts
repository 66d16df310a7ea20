/** Measures a model: each kind of segment once for each case that a plan may need, in real workers. */
import { engineBuild } from '../engine/build.js';
import { asTandemError, type TandemError } from '../errors.js';
import { liveBytes } from '../model/cut.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { sum } from '../sums.js';
import type { TensorSpec } from '../tensor.js';
import { largestMicroBatch } from './job-rows.js';
import { readMachine } from './machine.js';
import { describe } from './make-plan.js';
import { readStored, store } from './measurement-store.js';
import { median } from './median.js';
import {
  factsOfProfile,
  findCase,
  type MeasuredCase,
  type Profile,
  type ProfileSubject,
  staffingKey,
  subjectOf,
} from './profile.js';
import { type Segment, segmentsOf } from './segment.js';
import { ONCE, timeSteady } from './steady.js';
import { type Staffing, Stopwatch, type Timing } from './stopwatch.js';
import { bestMicroBatch } from './sweep.js';

export interface MeasureRequest {
  /** All that are wanted; the first one also decides the micro-batch. */
  readonly staffings: readonly [WantedStaffing, ...WantedStaffing[]];
  /** Rows; found by measuring where it is left out and the model does not fix it. */
  readonly microBatch?: number;
  /** Rows of the job, where they are known: a micro-batch is never so large that few of them are left. */
  readonly rows?: number | null;
  readonly rowSpecs: readonly TensorSpec[];
  /** Bytes that measuring may take; default: all that is free. */
  readonly room?: (staffing: Staffing) => number;
  /** Milliseconds. */
  readonly deadline: number;
  readonly allowFallback: boolean;
  /** Steps that are done, of how many, and what comes next. */
  readonly onProgress?: (done: number, total: number, what: string) => void;
}

/** `wholeOnly`: no plan would give it a part of the model. `optional`: where it cannot be measured, plans do without. */
export type WantedStaffing = Staffing & { readonly wholeOnly?: boolean; readonly optional?: boolean };

export interface Measured {
  readonly profile: Profile;
  /** Of the request's staffings, in order, without what is missing. */
  readonly cases: readonly MeasuredCase[];
  readonly microBatch: number;
  /** Why optional ones could not be measured, by `staffingKey`. */
  readonly missing: ReadonlyMap<string, TandemError>;
}

/** From the user's cache where it was measured before. Errors as of `Engine.describe`, `Pool.load` and `Pool.time`. */
export async function measure(graph: ModelGraph, request: MeasureRequest): Promise<Measured> {
  const subject = subjectOf(graph, request.rowSpecs);
  let profile = readStored<Profile>('profiles', subject) ?? (await begin(graph, request, subject));
  const progress = new Progress(request, profile.segments);
  const facts = factsOfProfile(profile);
  const rig = { graph, facts, segments: profile.segments, request };

  const [first] = request.staffings;
  const swept = `${staffingKey(first)}, ${engineBuild(first.engine, first.provider)}`;
  const fewer = (rows: number) => Math.min(rows, largestMicroBatch(request.rows));
  const known = profile.microBatches[swept];
  let microBatch = graph.fixedBatch ?? request.microBatch ?? (known && fewer(known));
  const cases: MeasuredCase[] = [];
  const missing = new Map<string, TandemError>();
  for (const staffing of request.staffings) {
    const build = engineBuild(staffing.engine, staffing.provider);
    const before = microBatch === undefined ? undefined : findCase(profile, staffing, microBatch, build);
    if (before && (staffing.wholeOnly || before.kinds.length > 0)) {
      cases.push(before);
      continue;
    }
    await using stopwatch = open(rig, staffing);
    if (microBatch === undefined) {
      progress.say('looking for the micro-batch');
      const best = await bestMicroBatch(stopwatch, profile.segments, largestThatTravels(graph, facts));
      microBatch = fewer(best);
      // What it has left of its memory would be counted as the model's.
      await stopwatch.restart();
      profile = { ...profile, microBatches: { ...profile.microBatches, [swept]: best } };
    }
    const like = profile.cases.find((each) => isLike(each, staffing, microBatch!));
    const measured = await measureCase(rig, stopwatch, { ...staffing, microBatch, build }, like, progress).catch(
      (error) => {
        if (!staffing.optional) throw error;
        missing.set(staffingKey(staffing), asTandemError(error));
      },
    );
    if (!measured) continue;
    cases.push(measured);
    profile = { ...profile, cases: [...profile.cases.filter((each) => each !== before), measured] };
    store('profiles', subject, profile);
  }
  return { profile, cases, microBatch: microBatch!, missing };
}

interface Rig {
  readonly graph: ModelGraph;
  readonly facts: TensorFacts;
  readonly segments: readonly Segment[];
  readonly request: MeasureRequest;
}

function open({ graph, facts, segments, request }: Rig, staffing: Staffing): Stopwatch {
  const { deadline, allowFallback } = request;
  return new Stopwatch({ ...staffing, graph, facts, parts: segments.map(({ ops }) => ops), deadline, allowFallback });
}

async function begin(graph: ModelGraph, request: MeasureRequest, subject: ProfileSubject): Promise<Profile> {
  request.onProgress?.(0, 1, 'finding out what lives across each cut');
  const facts = (await describe(graph, request.staffings[0], 'process', request))!;
  return {
    schema: 1,
    ...subject,
    facts: [...facts],
    segments: segmentsOf(graph, facts),
    secondsPerByte: copySpeed(),
    microBatches: {},
    cases: [],
  };
}

async function measureCase(
  { graph, segments, request }: Rig,
  stopwatch: Stopwatch,
  { wholeOnly = false, optional: _, ...staffing }: WantedStaffing & Pick<MeasuredCase, 'microBatch' | 'build'>,
  like: MeasuredCase | undefined,
  progress: Progress,
): Promise<MeasuredCase> {
  const { microBatch } = staffing;
  const kinds = [...new Map(segments.map((segment) => [segment.kind, segment])).values()];
  const bySize = kinds.toSorted(
    (a, b) => weightBytes(graph, a.ops.from, a.ops.to) - weightBytes(graph, b.ops.from, b.ops.to),
  );
  const where = `on ${staffing.device}, ${staffing.atOnce} x ${staffing.threads} threads`;
  const timings = new Array<Timing>(kinds.length);
  const timeKind = async ({ kind, ops, layers }: Segment, wholeSeconds = 0) => {
    progress.step(
      `${layers.from === layers.to ? 'layer' : 'layers'} ${[...new Set([layers.from, layers.to])].join('..')} ${where}`,
    );
    const little = (LITTLE * wholeSeconds) / segments.filter((segment) => segment.kind === kind).length;
    timings[kind] = await timeSteady(stopwatch, ops, microBatch, { little });
    return timings[kind].loadedBytes;
  };
  const [smallest, ...others] = bySize;
  const loadedBytes = await timeKind(smallest!);
  const { from, to } = smallest!.ops;
  const emptyBytes = loadedBytes === null ? null : Math.max(0, loadedBytes - weightBytes(graph, from, to));
  // While the process has held nothing else that its memory could be left over from.
  progress.step(`the whole model ${where}`);
  const all = { from: 0, to: graph.ops.length };
  const fits =
    weightBytes(graph, all.from, all.to) * staffing.atOnce * ROOM <
    (request.room?.(staffing) ?? readMachine().memory.free);
  const once = segments.length > 1 && fits ? await stopwatch.time(all, microBatch, ONCE) : null;
  const similar = !wholeOnly && once && once.seconds > MOST_SECONDS ? like : undefined;
  const timed = once && !similar ? await timeSteady(stopwatch, all, microBatch, { first: once }) : once;
  if (!timed || !wholeOnly) for (const segment of others.toReversed()) await timeKind(segment, once?.seconds);
  const roundTrip = await stopwatch.roundTrip();
  return {
    ...staffing,
    kinds: timings.includes(undefined as never) ? [] : timings,
    whole: timed && similar ? { ...timed, seconds: wholeSeconds(segments, timings, similar) } : timed,
    emptyBytes,
    roundTrip,
  };
}

/** Whoever takes no more than this share of a run of the whole model, all segments of its kind together, need not be known well. */
const LITTLE = 0.02;

/** Seconds of a run of the whole model: beyond these it runs once, for its memory, where another case can tell how it differs from its parts. */
const MOST_SECONDS = 0.75;

function isLike({ engine, microBatch, whole, kinds }: MeasuredCase, staffing: Staffing, rows: number): boolean {
  return engine === staffing.engine && microBatch === rows && whole !== null && kinds.length > 0;
}

/** Those of its parts, and as much more or less as it took in another case. */
function wholeSeconds(
  segments: readonly Segment[],
  kinds: readonly Timing[],
  { whole, kinds: theirs }: MeasuredCase,
): number {
  return (whole!.seconds * partsOf(segments, kinds)) / partsOf(segments, theirs);
}

function partsOf(segments: readonly Segment[], kinds: readonly Timing[]): number {
  return sum(segments.map(({ kind }) => kinds[kind]!.seconds));
}

/** The whole model is measured where its weights fit so often: an engine may hold them twice while it loads. */
const ROOM = 3;

/** Bytes of live tensors that a micro-batch carries at most. */
const MOST_LIVE_BYTES = 64 * 2 ** 20;
const MOST_ROWS = 1024;

function largestThatTravels(graph: ModelGraph, facts: TensorFacts): number {
  const perRow = Math.max(1, ...liveBytes(graph, facts, 1).map((bytes) => bytes ?? 0));
  return Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_LIVE_BYTES / perRow)));
}

/** Seconds in which a byte goes from one place in memory to another that was written before. */
function copySpeed(): number {
  const from = new Uint8Array(new SharedArrayBuffer(8 * 2 ** 20));
  const to = new Uint8Array(from.length);
  to.set(from);
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    to.set(from);
    return (performance.now() - start) / 1e3;
  });
  return median(times) / from.length;
}

/** Counts what there is to do before it is known what is in the cache, so it may end early but never late. */
class Progress {
  readonly #report: MeasureRequest['onProgress'];
  readonly #total: number;
  #done = 0;

  constructor({ onProgress, staffings }: MeasureRequest, segments: readonly Segment[]) {
    this.#report = onProgress;
    const kinds = new Set(segments.map(({ kind }) => kind)).size;
    this.#total = staffings.reduce((sum, { wholeOnly }) => sum + (wholeOnly ? 2 : kinds + 1), 0);
  }

  say(what: string): void {
    this.#report?.(this.#done, this.#total, what);
  }

  step(what: string): void {
    this.say(what);
    this.#done += 1;
  }
}
