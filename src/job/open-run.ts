/** Opens a run of a file, up to the first row: the state of an earlier run, the rows, the plan, the stages, the output. */

import { formatRows } from '../grouped-digits.js';
import type { ModelGraph } from '../model/graph.js';
import { keepOutputs } from '../model/keep-outputs.js';
import { OutputClaim } from '../output/claim.js';
import { type Fingerprint, fingerprintOf, PLANNED_HERE } from '../output/fingerprint.js';
import { journalPath } from '../output/journal.js';
import type { JournalText } from '../output/journal-record.js';
import { KeepingSink } from '../output/keeping-sink.js';
import { describeHolder } from '../output/lock.js';
import { openSink } from '../output/open-sink.js';
import { SelectingSink } from '../output/selecting-sink.js';
import type { Sink } from '../output/sink.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { rowOutputsOf } from '../pipeline/row-outputs.js';
import type { Plan } from '../plan/plan.js';
import { preStart } from '../planner/make-plan.js';
import { heldToOneRow } from '../planner/measure/one-row.js';
import { type Planning, type Settled, settleRows } from '../planner/settle-rows.js';
import { deadlineMsOf } from '../pool/deadline.js';
import type { PreStarted } from '../pool/pre-started.js';
import type { MetricsServer } from '../report/metrics-server.js';
import { STANDARD_STREAM } from '../rows/format.js';
import { outputFormatOf } from '../rows/format-of-path.js';
import { openGiven } from '../rows/given-values.js';
import { filesOf } from '../rows/input-files.js';
import { KeptRows } from '../rows/kept-rows.js';
import type { SourceInput } from '../rows/open-source.js';
import type { Source } from '../rows/source.js';
import { beginRecord } from './begin-record.js';
import type { ImageTask } from './image-task.js';
import type { Progress } from './job.js';
import { keepingOf } from './keeping.js';
import { splitKeep } from './kept-outputs.js';
import { checkErrors } from './max-errors.js';
import { findRows } from './open-rows.js';
import { orDecoder } from './refuse-decoder.js';
import { checkReportFiles } from './report-files.js';
import type { RunListener, Stop } from './run-listener.js';
import { type RunPlanned, RunPlanner } from './run-planner.js';
import type { RunRequest } from './run-request.js';
import { divided, shardIdentity } from './shard-plan.js';
import type { TaskModel } from './task-rows.js';
import { formatLengths } from './windows/lengths-report.js';
import {
  checkHoldsRagged,
  checkRaggedOutputs,
  type Loading,
  loadWindows,
  preparingOf,
  typicalOf,
  type Windowed,
} from './windows/load-windows.js';
import type { TypicalRows } from './windows/plan-lengths.js';

/** All that has been opened so far and must be closed. */
export interface Opened {
  preStarted?: PreStarted | null;
  metrics?: MetricsServer;
  claim?: OutputClaim;
  /** The rows: of one shape, or of lengths of their own. */
  source?: Source | Windowed;
  /** What is kept of the rows for the output. */
  kept?: KeptRows;
  sink?: Sink;
  pipeline?: Pipeline;
  /** The origin of the plan, if it was made for this run; the run's times are stored with it. */
  planned?: RunPlanned | undefined;
  /** Whether the output is complete. */
  ended?: boolean;
}

/** An opened run, and its progress. */
export interface Running extends Opened {
  readonly source: Source | Windowed;
  readonly sink: Sink;
  readonly pipeline: Pipeline;
  progress?: Progress;
}

/** The listener of a run, and its stop signal. */
export interface RunParty {
  readonly listener: RunListener;
  readonly stop: Stop;
}

/**
 * Opens into `opened`, step by step; where the claim on the output is complete, nothing after it. A signal ends each long step
 * at once; what leaves files behind is opened in one go.
 */
export async function openRun(request: RunRequest, opened: Opened, { listener, stop }: RunParty): Promise<void> {
  const planned = PLANNED_HERE.has(request.plan ?? 'auto');
  const deadlineMs = deadlineMsOf(request.deadline);
  const taskModel = request.task ? await stop.race(openTask(request)) : null;
  const model = taskModel?.file ?? request.model;
  if (planned) opened.preStarted = await preStart(model, { ...request, deadlineMs });
  const whole = await stop.race(openGiven(model, request));
  const found = taskModel ? taskModel.rows(whole) : findRows(whole, request);
  const rows = await stop.race(orDecoder(whole, request.set, found));
  const { input } = rows;
  if (rows.ragged) checkHoldsRagged(rows.outputs!, rows.ragged, outputFormatOf(request.output, request.outputFormat));
  if (input === STANDARD_STREAM && process.stdin.isTTY) {
    listener.onNotice?.('reading rows from this terminal; Ctrl-D ends them');
  }
  const named = whole.outputs.map((name) => whole.outputNames?.get(name) ?? name);
  const split = await splitKeep(request, rows.outputs ?? named, input);
  const graph = split.outputs && !rows.outputs ? keepOutputs(whole, split.outputs) : whole;
  const keep = keepingOf({ ...request, keep: split.columns }, input);
  const toStream = request.output === STANDARD_STREAM;
  // A new output needs it only after loading; a failure is thrown where it is awaited.
  const fingerprint = toStream
    ? null
    : fingerprintOf({ ...request, graph, input, rows: { ...rows.identity, ...shardIdentity(request) } });
  fingerprint?.catch(() => {});
  const outputs = split.outputs ?? rows.outputs ?? graph.outputs;
  if (!toStream) opened.claim = await claim({ request, outputs, input, fingerprint }, { listener, stop });
  if (opened.claim?.complete) return;
  const earlier = opened.claim?.earlier ?? null;
  if (earlier?.commit) checkErrors(request.maxErrors, earlier.commit, false);
  await checkReportFiles(request, {
    // Report files of a stopped run may be replaced by the resumed run.
    force: request.force || earlier !== null,
    taken: [request.output, journalPath(request.output), ...request.input],
  });
  await openMetrics(request, opened, listener);
  const { shard } = request;
  const doneRows = earlier?.commit?.rows ?? 0;
  if (doneRows > 0) listener.onNotice?.(`resuming after ${formatRows(doneRows)} of an earlier run`);
  const firstRow = (shard?.range.firstRow ?? 0) + doneRows;
  for (const origin of rows.origins) listener.onNotice?.(origin);
  const lengths = shard ? shard.division.lengths !== null : earlier && earlier.begin.plan.lengths !== undefined;
  const opening = orDecoder(whole, request.set, rows.open(firstRow, lengths, shard?.range));
  const source = await orClosed(opening, stop, (late) => late.close());
  opened.source = source;
  const kept = await KeptRows.open(filesOf(input), request.inputFormat, keep, firstRow, shard?.range);
  if (kept) opened.kept = kept;
  if (!opened.claim) {
    const { outputFormat: format } = request;
    opened.sink = await openSink(request.output, { format, rows: source.rows, outputs });
  }
  const preparing = preparingOf(source);
  // A survey has prepared rows already; else a pipe may not have any yet.
  const mayMeasure = !earlier && (input !== STANDARD_STREAM || 'ragged' in source);
  if (mayMeasure) await stop.race(preparing?.measure() ?? Promise.resolve());
  const loading = load(graph, source, request, { earlier, preStarted: opened.preStarted, deadlineMs }, listener);
  const ready = await orClosed(loading, stop, ({ pipeline: late }) => late.close());
  const { pipeline } = ready;
  opened.pipeline = pipeline;
  opened.planned = ready.planned;
  source.check?.(rowOutputsOf(pipeline));
  if (preparing) preparing.threads = pipeline.plan.preparing?.threads ?? preparing.usualThreads;
  if ('ragged' in source && !source.finish)
    checkRaggedOutputs(pipeline, outputFormatOf(request.output, request.outputFormat), split.outputs);
  const identified = await fingerprint;
  opened.sink ??= await opened.claim!.open(identified && beginRecord(identified, pipeline, source, request, input));
  if (split.outputs) opened.sink = new SelectingSink(opened.sink, split.outputs);
  if (kept) opened.sink = new KeepingSink(opened.sink, kept);
}

/** A step whose result is closed if it arrives after the run was stopped. */
async function orClosed<T>(step: Promise<T>, stop: Stop, close: (late: T) => Promise<void>): Promise<T> {
  try {
    return await stop.race(step);
  } catch (error) {
    step.then(close).catch(() => {});
    throw error;
  }
}

/** Loaded for tasks only. */
export async function openTask(request: RunRequest): Promise<TaskModel | ImageTask> {
  const { TaskModel } = await import('./task-rows.js');
  const asked = { ...request, task: request.task!, outputFormat: outputFormatOf(request.output, request.outputFormat) };
  const { hasImages, ImageTask } = await import('./image-task.js');
  if (await hasImages(asked)) return ImageTask.open(asked);
  return TaskModel.open(asked);
}

interface Claimed {
  readonly request: RunRequest;
  readonly outputs: readonly string[];
  readonly input: SourceInput;
  readonly fingerprint: Promise<Fingerprint | null> | null;
}

function claim({ request, outputs, input, fingerprint }: Claimed, { listener, stop }: RunParty): Promise<OutputClaim> {
  const { output, outputFormat, force, forceNew } = request;
  return OutputClaim.take(output, {
    format: outputFormat,
    asRows: request.shard !== undefined,
    force,
    forceNew,
    outputs,
    inputs: filesOf(input),
    fingerprint,
    signal: stop.signal,
    onWait: (holder, leftMs) => {
      const seconds = Math.ceil(leftMs / 1000);
      listener.onNotice?.(`${output} was being written by ${describeHolder(holder)}`);
      listener.onNotice?.(`waiting for at most ${seconds} s to see whether that process is alive`);
    },
  });
}

async function openMetrics(request: RunRequest, opened: Opened, listener: RunListener): Promise<void> {
  if (request.metricsPort === undefined) return;
  const { serveMetrics } = await import('./run-metrics.js');
  const metrics = await serveMetrics({ ...request, metricsPort: request.metricsPort }, opened);
  opened.metrics = metrics;
  listener.onNotice?.(`metrics at ${metrics.url}`);
}

export interface Found {
  readonly earlier: JournalText | null;
  readonly preStarted?: PreStarted | null | undefined;
  readonly deadlineMs: number;
}

/** Plans and loads. Throws what planning and the stages throw. */
export async function load(
  graph: ModelGraph,
  source: Source | Windowed,
  request: RunRequest,
  { earlier, preStarted, deadlineMs }: Found,
  listener: RunListener,
): Promise<Pick<Opened, 'planned'> & { pipeline: Pipeline }> {
  const left = source.rows === null ? null : source.rows - (earlier?.commit?.rows ?? 0);
  const windows = 'ragged' in source ? source : null;
  const typical = windows && typicalOf(windows, request, earlier?.begin.plan ?? request.shard?.division);
  const planned = typical ?? (source as Source);
  const { rowSpecs } = planned;
  const settings = { allowFallback: request.allowFallback ?? false, deadlineMs, preStarted };
  return heldToOneRow(graph, { microBatch: request.microBatch, rowSpecs, deadlineMs }, async (held) => {
    const beside = { preparing: preparingOf(source), perRow: typical?.perRow ?? 1 };
    const planner = new RunPlanner({ graph: held, source: planned, request, beside, settings, listener });
    try {
      const here = await settle(held, planned, request, earlier?.begin.plan ?? null, planner);
      const settled = earlier ? here : await divided(here, request.shard);
      if (windows && typical) {
        const { stages, microBatch } = request;
        const asked = { stages, microBatch: held.fixedBatch ?? microBatch };
        const open: Loading['open'] = (...lengths) => planner.openLengths(...lengths);
        const pipeline = await loadWindows(windows, settled, { request: asked, typical, open });
        listener.onPlan?.(held, pipeline.plan, { left, why: planner.why });
        const { survey } = windows;
        if (survey) listener.onNotice?.(formatLengths(pipeline.plan, survey, source.rows));
        return { pipeline, planned: plannedFor(planner, settled.plan, pipeline.plan, typical) };
      }
      const { plan, pipeline } = settled;
      listener.onPlan?.(held, plan, { left, why: planner.why });
      return { pipeline: pipeline ?? (await planner.open(plan)), planned: planner.planned };
    } catch (error) {
      await planner.close();
      throw error;
    }
  });
}

/** What the run shows is kept beside the plan for typical rows. */
function plannedFor(
  planner: RunPlanner,
  made: Plan,
  { lengths }: Plan,
  { length }: TypicalRows,
): RunPlanned | undefined {
  const { planned } = planner;
  if (!planned || !lengths) return planned;
  return { ...planned, typical: { plan: made, perRow: lengths.meanTokens / Math.max(1, length) } };
}

/** That of an earlier run: what was left to tandem once must not come out differently now. Else anew; a plan from a file has its micro-batch. */
async function settle(
  graph: ModelGraph,
  { rowSpecs }: Pick<Source, 'rowSpecs'>,
  request: RunRequest,
  earlier: Plan | null,
  planning: Planning,
): Promise<Settled> {
  if (earlier) return { plan: resumed(earlier, request), pipeline: null };
  const { plan: asked = 'auto', stages } = request;
  const microBatch = PLANNED_HERE.has(asked) ? request.microBatch : (await planning.plan(undefined)).microBatch;
  return settleRows(graph, { rowSpecs, stages, microBatch }, planning);
}

/** Depth and isolation change no byte, so they may differ: a job that crashed as threads can be resumed as processes. */
function resumed(earlier: Plan, { depth = earlier.depth, isolation = 'auto' }: RunRequest): Plan {
  return { ...earlier, depth, isolation: isolation === 'auto' ? earlier.isolation : isolation };
}
