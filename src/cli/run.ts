/** `tandem run`: a batch file through the model. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EXIT, TandemError } from '../errors.js';
import { errorsPath } from '../job/errors-file.js';
import { STANDARD_STREAM } from '../job/format.js';
import { type JobResult, runJob } from '../job/job.js';
import { statusOf } from '../job/job-status.js';
import { isBrokenPipe } from '../job/output-error.js';
import type { Sink } from '../job/sink.js';
import { summarise } from '../job/summary.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { ErrorCounts } from '../report/error-counts.js';
import { recordOf } from '../report/run-record.js';
import { settingsOf } from './config.js';
import { printable, printError } from './fail.js';
import { FailedRows } from './failed-rows.js';
import { type Opened, openRun, type Request, type Running } from './open-run.js';
import { formatSummary } from './print-run.js';
import { formatRows, ProgressBar } from './progress.js';
import { writeReportFiles } from './report-files.js';
import type { RunFlags } from './run-flags.js';
import { Interrupted, type Signals, stopOnSignals } from './signals.js';
import { formatStatus } from './status.js';

const DEFAULT_DEADLINE = 600;

/** Where a run talks to the person who started it. */
interface Console {
  readonly bar: ProgressBar;
  readonly signals: Signals;
}

/** Runs the job, or goes on with it, and returns the exit status. */
export function run(model: string, flags: RunFlags): Promise<number> {
  return perform(requestOf(model, flags));
}

export async function perform(request: Request): Promise<number> {
  const startedAt = performance.now();
  // Rows that run over the terminal show the progress themselves.
  const rowsOnScreen = request.output === STANDARD_STREAM && process.stdout.isTTY;
  const bar = new ProgressBar(process.stderr, { quiet: request.quiet || rowsOnScreen });
  const opened: Opened = {};
  const signals = stopOnSignals(() => {
    bar.clear();
    const drains = opened.pipeline ? ' once the rows in flight are finished' : '';
    process.stderr.write(`tandem: stopping${drains}; once more stops at once\n`);
  });
  try {
    await openRun(request, opened, { bar, signals });
    if (opened.claim?.complete) return await tellComplete(request);
    return await runRows(opened as Running, request, { bar, signals, startedAt });
  } catch (error) {
    bar.clear();
    await opened.sink?.abandon();
    await opened.claim?.release();
    if (error instanceof Interrupted) return signals.leave();
    if (isBrokenPipe(error)) return EXIT.ok;
    const status = printError(error);
    if (opened.ended || !opened.sink) return status;
    tellLeft(request, opened.sink, 'what was done until then');
    return gotFurther(opened) ? EXIT.resumable : status;
  } finally {
    await opened.claim?.release();
    await opened.metrics?.close();
    await opened.standby?.close();
    await opened.pipeline?.close();
    await opened.source?.close();
    signals.release();
  }
}

function requestOf(model: string, flags: RunFlags): Request {
  const { input, output, json } = flags;
  const settings = settingsOf({ ...flags, stages: flags.stage });
  if (!input) throw missing('--input FILE', 'the rows to run the model on');
  if (!output) throw missing('--output FILE', 'where the results go');
  if (json && output === STANDARD_STREAM) {
    throw new TandemError('TANDEM_USAGE', '--json and --output - both want stdout', {
      remedy: 'write the rows to a file, or leave --json out',
    });
  }
  return { ...flags, ...settings, model, input, output, deadline: settings.deadline ?? DEFAULT_DEADLINE };
}

function missing(flag: string, what: string): TandemError {
  return new TandemError('TANDEM_USAGE', `${flag} is missing: ${what}`, { remedy: 'see: tandem run --help' });
}

async function runRows(
  running: Running,
  request: Request,
  { bar, signals, startedAt }: Console & { readonly startedAt: number },
): Promise<number> {
  const { claim, pipeline, source, sink } = running;
  const errors = new ErrorCounts();
  const failed = new FailedRows((line) => bar.line(line));
  const result = await runJob({
    pipeline,
    source,
    sink,
    signal: signals.signal,
    before: claim?.earlier?.commit ?? undefined,
    maxErrors: request.maxErrors,
    onProgress: (progress) => {
      running.progress = progress;
      bar.show(() => ({ ...progress, total: source.rows, stages: stagesOf(pipeline) }));
    },
    onFailures: (failures) => {
      errors.add(failures);
      if (request.output === STANDARD_STREAM) failed.tell(failures);
    },
  }).finally(() => {
    bar.clear();
    failed.finish();
  });
  running.ended = !result.stopped;
  const summary = await summarise(pipeline, result, (result.startedAt - startedAt) / 1000, filesOf(request, result));
  if (!request.quiet) process.stderr.write(formatSummary(summary));
  const command = process.argv.slice(2);
  await writeReportFiles(request, recordOf({ pipeline, summary, errors: errors.counts, command }));
  if (result.stopped) tellLeft(request, sink, 'stopped before the end; what was done');
  if (request.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  if (result.stopped) return signals.exitCode!;
  return result.failedRows > 0 && !request.allowErrors ? EXIT.failedRows : EXIT.ok;
}

function stagesOf({ plan, timeline }: Pipeline) {
  const uses = timeline.uses();
  return plan.stages.map(({ device }, j) => ({ device, utilisation: uses[j]!.utilisation }));
}

/** The files that there are now under their final names. */
function filesOf({ output, report, trace }: Request, { failedRows, stopped }: JobResult) {
  const shown = output !== STANDARD_STREAM && !stopped;
  const errorsFile = shown && failedRows > 0 ? errorsPath(output) : null;
  return { output: shown ? output : null, errorsFile, report: report ?? null, trace: trace ?? null };
}

/** Whether this run has brought the output forward: only then may running it again be expected to bring it to its end. */
function gotFurther({ claim, sink }: Opened): boolean {
  return (sink?.kept ?? 0) > (claim?.earlier?.commit?.rows ?? 0);
}

async function tellComplete({ output, quiet, json, allowErrors }: Request): Promise<number> {
  const status = await statusOf(output);
  if (!quiet) process.stderr.write(`tandem: nothing is left to do\n${formatStatus(status)}`);
  if (json) process.stdout.write(`${JSON.stringify(status)}\n`);
  return status.failedRows > 0 && !allowErrors ? EXIT.failedRows : EXIT.ok;
}

/** Says how to go on; else where the unfinished output lies, if any of it was written: an archive that could not be put together is several files. */
function tellLeft({ output }: Request, { kept }: Sink, what: string): void {
  if (output === STANDARD_STREAM) return;
  if (kept) {
    process.stderr.write(`tandem: ${what} is kept, ${formatRows(kept)}\n`);
    process.stderr.write(`        to go on, run the same command again, or: tandem resume ${printable(output)}\n`);
    return;
  }
  const folder = dirname(output);
  const left = readdirSync(folder).filter(
    (name) => name.startsWith(`${basename(output)}.`) && name.endsWith('.partial'),
  );
  if (left.length === 0) return;
  process.stderr.write(`tandem: ${what} lies in ${left.map((name) => printable(join(folder, name))).join(' and ')}\n`);
}
