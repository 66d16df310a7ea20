/** Measures a model: each kind of segment once for each allocation that a plan may use, in real workers. */
import { engineBuild } from '../../engine/choose.js';
import { asTandemError, type TandemError } from '../../errors.js';
import { readMachine } from '../../machine/machine.js';
import { liveBytes } from '../../model/cut.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../../model/graph.js';
import { describe } from '../../pool/describe.js';
import { sum } from '../../sums.js';
import type { TensorSpec } from '../../tensor.js';
import { largestMicroBatch } from '../job-rows.js';
import { median } from './median.js';
import { mostRows } from './micro-batch-size.js';
import {
  allocationKey,
  factsOfProfile,
  findCase,
  type MeasuredCase,
  type Profile,
  type ProfileSubject,
  subjectOf,
} from './profile.js';
import { type Segment, segmentsOf } from './segment.js';
import { ONCE, timeSteadyState } from './steady-state.js';
import { type Allocation, Stopwatch, type Timing } from './stopwatch.js';
import { readStored, store } from './store.js';
import { bestMicroBatch } from './sweep.js';

export interface MeasureRequest {
  /** All allocations to measure. The first also decides the micro-batch. */
  readonly allocations: readonly [WantedAllocation, ...WantedAllocation[]];
  /** Rows. If left out and not fixed by the model, found by measuring. */
  readonly microBatch?: number;
  /** Rows of the job, if known: a micro-batch is never so large that only a few of them result. */
  readonly rows?: number | null;
  readonly rowSpecs: readonly TensorSpec[];
  /** Bytes that measuring may use; default: all free memory. */
  readonly room?: (allocation: Allocation) => number;
  /** Milliseconds. */
  readonly deadlineMs: number;
  readonly allowFallback: boolean;
  /** Called with the number of steps done, their total, and a description of the next one. */
  readonly onProgress?: (done: number, total: number, what: string) => void;
}

/** `wholeOnly`: no plan gives it only a part of the model. `optional`: if it cannot be measured, plans do without it. */
export type WantedAllocation = Allocation & { readonly wholeOnly?: boolean; readonly optional?: boolean };

export interface Measured {
  readonly profile: Profile;
  /** The cases of the request's allocations, in order, without missing ones. */
  readonly cases: readonly MeasuredCase[];
  readonly microBatch: number;
  /** Why optional allocations could not be measured, by `allocationKey`. */
  readonly missing: ReadonlyMap<string, TandemError>;
}

/** Measures the allocations, or reads them from the user's cache. Errors as of `Engine.describe`, `Pool.load` and `Pool.time`. */
export async function measure(graph: ModelGraph, request: MeasureRequest): Promise<Measured> {
  const subject = subjectOf(graph, request.rowSpecs);
  let profile = readStored<Profile>('profiles', subject) ?? (await newProfile(graph, request, subject));
  const progress = new Progress(request, profile.segments);
  const facts = factsOfProfile(profile);
  const context = { graph, facts, segments: profile.segments, request };

  const [first] = request.allocations;
  const swept = `${allocationKey(first)}, ${engineBuild(first.engine, first.provider)}`;
  const fewer = (rows: number) => Math.min(rows, largestMicroBatch(request.rows));
  const known = profile.microBatches[swept];
  let microBatch = graph.fixedBatch ?? request.microBatch ?? (known && fewer(known));
  const cases: MeasuredCase[] = [];
  const missing = new Map<string, TandemError>();
  for (const allocation of request.allocations) {
    const build = engineBuild(allocation.engine, allocation.provider);
    const before = microBatch === undefined ? undefined : findCase(profile, allocation, microBatch, build);
    if (before && (allocation.wholeOnly || before.kinds.length > 0)) {
      cases.push(before);
      continue;
    }
    await using stopwatch = open(context, allocation);
    if (microBatch === undefined) {
      progress.report('searching for the micro-batch');
      const best = await bestMicroBatch(stopwatch, profile.segments, mostRows(liveBytes(graph, facts, 1), MOST_ROWS));
      microBatch = fewer(best);
      // Memory that the engine keeps from the search would be counted as the model's.
      await stopwatch.restart();
      profile = { ...profile, microBatches: { ...profile.microBatches, [swept]: best } };
    }
    const similarCase = profile.cases.find((each) => isSimilar(each, allocation, microBatch!));
    const measured = await measureCase(
      context,
      stopwatch,
      { ...allocation, microBatch, build },
      similarCase,
      progress,
    ).catch((error) => {
      if (!allocation.optional) throw error;
      missing.set(allocationKey(allocation), asTandemError(error));
    });
    if (!measured) continue;
    cases.push(measured);
    profile = { ...profile, cases: [...profile.cases.filter((each) => each !== before), measured] };
    store('profiles', subject, profile);
  }
  return { profile, cases, microBatch: microBatch!, missing };
}

/** Deletes measurements that were taken while the machine was busy. The tensors' facts are kept. */
export function forgetCases(graph: ModelGraph, rowSpecs: readonly TensorSpec[]): void {
  const subject = subjectOf(graph, rowSpecs);
  const profile = readStored<Profile>('profiles', subject);
  if (profile) store('profiles', subject, { ...profile, microBatches: {}, cases: [] });
}

interface MeasureContext {
  readonly graph: ModelGraph;
  readonly facts: TensorFacts;
  readonly segments: readonly Segment[];
  readonly request: MeasureRequest;
}

function open({ graph, facts, segments, request }: MeasureContext, allocation: Allocation): Stopwatch {
  const { deadlineMs, allowFallback } = request;
  return new Stopwatch({
    ...allocation,
    graph,
    facts,
    parts: segments.map(({ ops }) => ops),
    deadlineMs,
    allowFallback,
  });
}

async function newProfile(graph: ModelGraph, request: MeasureRequest, subject: ProfileSubject): Promise<Profile> {
  request.onProgress?.(0, 1, 'finding the live tensors of each cut');
  const facts = (await describe(graph, request.allocations[0], 'process', request))!;
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
  { graph, segments, request }: MeasureContext,
  stopwatch: Stopwatch,
  { wholeOnly = false, optional: _, ...allocation }: WantedAllocation & Pick<MeasuredCase, 'microBatch' | 'build'>,
  similarCase: MeasuredCase | undefined,
  progress: Progress,
): Promise<MeasuredCase> {
  const { microBatch } = allocation;
  const kinds = [...new Map(segments.map((segment) => [segment.kind, segment])).values()];
  const bySize = kinds.toSorted(
    (a, b) => weightBytes(graph, a.ops.from, a.ops.to) - weightBytes(graph, b.ops.from, b.ops.to),
  );
  const where = `on ${allocation.device}, ${allocation.atOnce} x ${allocation.threads} threads`;
  const timings = new Array<Timing>(kinds.length);
  const timeKind = async ({ kind, ops, layers }: Segment, wholeSeconds = 0) => {
    progress.step(
      `${layers.from === layers.to ? 'layer' : 'layers'} ${[...new Set([layers.from, layers.to])].join('..')} ${where}`,
    );
    const little = (LITTLE * wholeSeconds) / segments.filter((segment) => segment.kind === kind).length;
    timings[kind] = await timeSteadyState(stopwatch, ops, microBatch, { little });
    return timings[kind].loadedBytes;
  };
  const [smallest, ...others] = bySize;
  const loadedBytes = await timeKind(smallest!);
  const { from, to } = smallest!.ops;
  const emptyBytes = loadedBytes === null ? null : Math.max(0, loadedBytes - weightBytes(graph, from, to));
  // Measured now, while the process has held nothing else whose memory could remain.
  progress.step(`the whole model ${where}`);
  const all = { from: 0, to: graph.ops.length };
  const fits =
    weightBytes(graph, all.from, all.to) * allocation.atOnce * ROOM <
    (request.room?.(allocation) ?? readMachine().memory.free);
  const once = segments.length > 1 && fits ? await stopwatch.time(all, microBatch, ONCE) : null;
  const similar = !wholeOnly && once && once.seconds > MOST_SECONDS ? similarCase : undefined;
  const timed = once && !similar ? await timeSteadyState(stopwatch, all, microBatch, { first: once }) : once;
  if (!timed || !wholeOnly) for (const segment of others.toReversed()) await timeKind(segment, once?.seconds);
  const roundTrip = await stopwatch.roundTrip();
  return {
    ...allocation,
    kinds: timings.includes(undefined as never) ? [] : timings,
    whole: timed && similar ? { ...timed, seconds: wholeSeconds(segments, timings, similar) } : timed,
    emptyBytes,
    roundTrip,
  };
}

/** Segments of a kind that together take no more than this share of a run of the whole model need no precise measurement. */
const LITTLE = 0.02;

/** If a run of the whole model takes longer than these seconds, it runs once, for its memory, if another case shows how it differs from its parts. */
const MOST_SECONDS = 0.75;

function isSimilar({ engine, microBatch, whole, kinds }: MeasuredCase, allocation: Allocation, rows: number): boolean {
  return engine === allocation.engine && microBatch === rows && whole !== null && kinds.length > 0;
}

/** The seconds of its parts, times the ratio of whole to parts in the other case. */
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

/** The whole model is measured if this many times its weights fit: an engine may hold them twice while it loads. */
const ROOM = 3;

/** Rows of the largest micro-batch that is looked at. */
const MOST_ROWS = 1024;

/** Seconds to copy one byte between two places in memory that were written before. */
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

/** Counts the steps before it is known which are in the cache: it may end early, but never late. */
class Progress {
  readonly #report: MeasureRequest['onProgress'];
  readonly #total: number;
  #done = 0;

  constructor({ onProgress, allocations }: MeasureRequest, segments: readonly Segment[]) {
    this.#report = onProgress;
    const kinds = new Set(segments.map(({ kind }) => kind)).size;
    this.#total = allocations.reduce((sum, { wholeOnly }) => sum + (wholeOnly ? 2 : kinds + 1), 0);
  }

  report(what: string): void {
    this.#report?.(this.#done, this.#total, what);
  }

  step(what: string): void {
    this.report(what);
    this.#done += 1;
  }
}
