/** A run of a file from the request to the summary and the report, for `tandem run` and `runFile`. */
import { formatBusy, otherLoad, readTicks } from '../machine/busy.js';
import { errorsPath } from '../output/errors-file.js';
import type { Plan } from '../plan/plan.js';
import { ErrorCounts } from '../report/error-counts.js';
import { recordOf } from '../report/run-record.js';
import { STANDARD_STREAM } from '../rows/format.js';
import type { RowFailure } from '../rows/source.js';
import { type JobResult, runJob } from './job.js';
import { type Opened, openRun, type Running, type RunParty } from './open-run.js';
import { writeReportFiles } from './report-files.js';
import type { RunRequest } from './run-request.js';
import { type Summary, summarise } from './summary.js';
import { preparingOf } from './windows/load-windows.js';

/** Cores that preparing rows may take before a run shows less than what its stages can do. */
const PREPARING_SHARE = 0.1;

export interface RunParts extends RunParty {
  /** The command line, from the verb on, for the report. */
  readonly command: readonly string[];
}

/**
 * Runs or resumes the job; `null` if nothing is left to do. All that it opens is in `opened`; the caller must call `closeRun`.
 * Throws what the model, the rows, the stages and the output throw; the same command can then resume it.
 */
export async function performRun(request: RunRequest, opened: Opened, parts: RunParts): Promise<Summary | null> {
  const startedAt = performance.now();
  try {
    await openRun(request, opened, parts);
    if (opened.claim?.complete) return null;
    return await runOpened(opened as Running, request, parts, startedAt);
  } catch (error) {
    await opened.sink?.abandon();
    await opened.claim?.release();
    throw error;
  }
}

/** Closes all that a run has opened. */
export async function closeRun(opened: Opened): Promise<void> {
  await opened.claim?.release();
  await opened.metrics?.close();
  await opened.preStarted?.close();
  await opened.pipeline?.close();
  await opened.source?.close();
  await opened.kept?.close();
}

async function runOpened(
  running: Running,
  request: RunRequest,
  { listener, stop, command }: RunParts,
  startedAt: number,
): Promise<Summary> {
  const { claim, pipeline, source, sink } = running;
  const errors = new ErrorCounts();
  let first: RowFailure | null = null;
  const ticks = readTicks();
  using cards = pipeline.watchCards();
  const result = await runJob({
    pipeline,
    source,
    sink,
    signal: stop.signal,
    before: claim?.earlier?.commit ?? undefined,
    base: request.shard?.range.firstRow,
    maxErrors: request.maxErrors,
    onProgress: (progress) => {
      running.progress = progress;
      listener.onProgress?.({ ...progress, total: source.rows }, pipeline);
    },
    onFailures: (failures) => {
      first ??= failures[0]!;
      errors.add(failures);
      listener.onFailures?.(failures);
    },
  }).finally(() => listener.onRowsEnd?.());
  running.ended = !result.stopped;
  const busy = otherLoad(ticks, readTicks());
  for (const note of ('notes' in source && source.notes?.()) || []) listener.onNotice?.(note);
  const preparing = preparingOf(source);
  const loadSeconds = (result.startedAt - startedAt) / 1000;
  const summary = await summarise({
    pipeline,
    result,
    loadSeconds,
    files: filesOf(request, result),
    preparing,
    cards: cards.watched,
  });
  // The rest needs no stage, so the stages end at the same time.
  pipeline.close().catch(() => {});
  for (const note of [...formatBusy(busy, 'this ran'), ...(await learnt(running, result, busy))]) {
    listener.onNotice?.(note);
  }
  listener.onSummary?.(summary, first);
  await writeReportFiles(request, recordOf({ pipeline, summary, errors: errors.counts, command, preparing }));
  return summary;
}

/** Stores the run's times for the next run's plan. A run that was stopped, or had failed rows, is not used. */
async function learnt(
  { pipeline, planned }: Running,
  { stopped, failedRows }: JobResult,
  busy: number | null,
): Promise<string[]> {
  if (!planned || stopped || failedRows > 0 || !isStagesPace(pipeline.plan)) return [];
  const { learnFromRun } = await import('../planner/learn-from-run.js');
  const { loadSeconds, ...request } = planned;
  const stale = learnFromRun(pipeline, request, { loadSeconds, busy });
  return stale === null ? [] : [`${stale}: the next run plans anew`];
}

/** Whether the pace is that of the stages, and not of what prepares their rows beside them. */
function isStagesPace({ preparing, expected }: Plan): boolean {
  if (!preparing || !expected) return true;
  return preparing.cores === 0 && preparing.secondsPerRow * expected.rowsPerSecond < PREPARING_SHARE;
}

/** The files that now exist under their final names. */
function filesOf({ output, report, trace }: RunRequest, { failedRows, stopped }: JobResult) {
  const shown = output !== STANDARD_STREAM && !stopped;
  const errorsFile = shown && failedRows > 0 ? errorsPath(output) : null;
  return { output: shown ? output : null, errorsFile, report: report ?? null, trace: trace ?? null };
}
