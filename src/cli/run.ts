/** `tandem run`: a batch file through the model. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EXIT, TandemError } from '../errors.js';
import { formatRows } from '../grouped-digits.js';
import type { Opened } from '../job/open-run.js';
import { closeRun, performRun } from '../job/perform-run.js';
import type { RunListener } from '../job/run-listener.js';
import type { RunRequest } from '../job/run-request.js';
import type { Summary } from '../job/summary.js';
import { isBrokenPipe } from '../output/error.js';
import type { Sink } from '../output/sink.js';
import { statusOf } from '../output/status.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import { DEFAULT_DEADLINE } from '../pool/deadline.js';
import { STANDARD_STREAM } from '../rows/format.js';
import { settingsOf } from './config.js';
import { printable, printError } from './fail.js';
import { FailedRows } from './failed-rows.js';
import { formatMeasuredPlan } from './print-plan.js';
import { formatPlan, formatSummary } from './print-run.js';
import { ProgressBar } from './progress.js';
import type { RunFlags } from './run-flags.js';
import type { ShardFlags } from './shard-flags.js';
import { Interrupted, type Signals, stopOnSignals } from './signals.js';
import { formatStatus } from './status.js';

/** A run, and what is printed of it. */
export interface Request extends RunRequest {
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** Runs or resumes the job, and returns the exit status. */
export async function perform(request: Request): Promise<number> {
  // Rows on the terminal show the progress themselves.
  const rowsOnScreen = request.output === STANDARD_STREAM && process.stdout.isTTY;
  const bar = new ProgressBar(process.stderr, { quiet: request.quiet || rowsOnScreen });
  const opened: Opened = {};
  const stop = stopOnSignals(() => {
    bar.clear();
    const drains = opened.pipeline ? ' once the rows in flight are finished' : '';
    process.stderr.write(`tandem: stopping${drains}; a second signal stops at once\n`);
  });
  try {
    const listener = listenerOf(request, bar);
    const summary = await performRun(request, opened, { listener, stop, command: process.argv.slice(2) });
    return summary ? exitOf(summary, request, opened, stop) : await printComplete(request);
  } catch (error) {
    bar.clear();
    return exitAfterError(error, request, opened, stop);
  } finally {
    await closeRun(opened);
    stop.release();
  }
}

/** Throws TANDEM_USAGE. */
export function requestOf(model: string, flags: Omit<RunFlags, keyof ShardFlags>): Request {
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

/** Prints the reports of a run. */
export function listenerOf({ output, quiet }: Request, bar: ProgressBar): RunListener {
  const line = (text: string) => {
    if (!quiet) bar.line(text);
  };
  const toStream = output === STANDARD_STREAM;
  const failed = new FailedRows((text) => bar.line(text));
  return {
    onStep: (text) => bar.note(text),
    onNotice: (text) => line(`${printable(text)}\n`),
    onPlan: (graph, plan, { left, why }) => {
      line(plan.expected ? formatMeasuredPlan(graph, plan, plan.expected, left) : formatPlan(graph, plan));
      if (why) line(`${why}\n`);
    },
    onProgress: (progress, pipeline) => bar.show(() => ({ ...progress, stages: stagesOf(pipeline) })),
    onFailures: (failures) => {
      if (toStream) failed.print(failures);
    },
    onRowsEnd: () => {
      bar.clear();
      failed.finish();
    },
    onSummary: (summary, first) => line(formatSummary(summary, toStream ? null : first)),
  };
}

function stagesOf({ plan, timeline }: Pipeline) {
  const uses = timeline.uses();
  return plan.stages.map(({ device }, j) => ({ device, utilisation: uses[j]!.utilisation }));
}

/** What the exit status of a job depends on. */
type Outcome = Pick<Opened, 'claim' | 'sink' | 'ended'>;
type Shown = Pick<Request, 'output' | 'json' | 'allowErrors'>;

export function exitOf(
  summary: Pick<Summary, 'stopped' | 'failedRows'>,
  request: Shown,
  { sink }: Outcome,
  { exitCode }: Signals,
): number {
  if (summary.stopped) printLeft(request, sink!, 'stopped before the end; what was done');
  if (request.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  if (summary.stopped) return exitCode!;
  return summary.failedRows > 0 && !request.allowErrors ? EXIT.failedRows : EXIT.ok;
}

/** Prints the error, and how to resume where that is possible. */
export function exitAfterError(error: unknown, request: Shown, opened: Outcome, stop: Signals): number {
  if (error instanceof Interrupted) return stop.leave();
  if (isBrokenPipe(error)) return EXIT.ok;
  const status = printError(error);
  // Another process has taken the output over, so this one cannot be resumed.
  const isTaken = error instanceof TandemError && error.code === 'TANDEM_OUTPUT_TAKEN';
  if (opened.ended || !opened.sink || isTaken) return status;
  printLeft(request, opened.sink, 'what was done until then');
  return gotFurther(opened) ? EXIT.resumable : status;
}

/** Whether this run has made progress: only then can running it again be expected to finish. */
function gotFurther({ claim, sink }: Outcome): boolean {
  return (sink?.kept ?? 0) > (claim?.earlier?.commit?.rows ?? 0);
}

export async function printComplete({
  output,
  quiet,
  json,
  allowErrors,
}: Pick<Request, 'output' | 'quiet' | 'json' | 'allowErrors'>): Promise<number> {
  const status = await statusOf(output);
  if (!quiet) process.stderr.write(`tandem: nothing is left to do\n${formatStatus(status)}`);
  if (json) process.stdout.write(`${JSON.stringify(status)}\n`);
  return status.failedRows > 0 && !allowErrors ? EXIT.failedRows : EXIT.ok;
}

/** Prints how to resume; else where the unfinished output is. An archive that could not be put together is several files. */
export function printLeft({ output }: Pick<Request, 'output'>, { kept }: Sink, what: string): void {
  if (output === STANDARD_STREAM) return;
  if (kept) {
    process.stderr.write(`tandem: ${what} is kept, ${formatRows(kept)}\n`);
    process.stderr.write(`        to resume, run the same command again, or: tandem resume ${printable(output)}\n`);
    return;
  }
  const folder = dirname(output);
  const left = readdirSync(folder).filter(
    (name) => name.startsWith(`${basename(output)}.`) && name.endsWith('.partial'),
  );
  if (left.length === 0) return;
  process.stderr.write(`tandem: ${what} lies in ${left.map((name) => printable(join(folder, name))).join(' and ')}\n`);
}
