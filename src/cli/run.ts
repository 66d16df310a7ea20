/** `tandem run`: a batch file through the model. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EXIT, TandemError } from '../errors.js';
import { errorsPath } from '../job/errors-file.js';
import { STANDARD_STREAM } from '../job/format.js';
import { type JobResult, type Progress, runJob } from '../job/job.js';
import { openSink } from '../job/open-sink.js';
import { openSource } from '../job/open-source.js';
import { isBrokenPipe } from '../job/output-error.js';
import type { Sink } from '../job/sink.js';
import type { Source } from '../job/source.js';
import { summarise } from '../job/summary.js';
import type { ModelGraph } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { Pipeline } from '../pipeline/pipeline.js';
import { settlePlan } from '../pipeline/settle-plan.js';
import { makePlan } from '../plan/make-plan.js';
import type { Plan } from '../plan/plan.js';
import { ErrorCounts } from '../report/error-counts.js';
import type { MetricsServer } from '../report/metrics-server.js';
import { recordOf } from '../report/run-record.js';
import { type RunSettings, settingsOf } from './config.js';
import { printable, printError } from './fail.js';
import { FailedRows } from './failed-rows.js';
import { inputsOf } from './input-flag.js';
import { formatMeasuredPlan } from './print-plan.js';
import { formatPlan, formatSummary } from './print-run.js';
import { ProgressBar } from './progress.js';
import { checkReportFiles, writeReportFiles } from './report-files.js';
import type { RunFlags } from './run-flags.js';
import { serveMetrics } from './run-metrics.js';
import { Interrupted, type Signals, stopOnSignals } from './signals.js';

const DEFAULT_DEADLINE = 600;

/** What was asked for, from all places together. */
interface Request extends RunFlags, RunSettings {
  readonly input: readonly string[];
  readonly output: string;
  readonly deadline: number;
}

/** What has been opened so far, and must be closed however the run ends. */
interface Opened {
  metrics?: MetricsServer;
  source?: Source;
  sink?: Sink;
  pipeline?: Pipeline;
}

/** All of it, and how far the run has come. */
interface Running extends Required<Omit<Opened, 'metrics'>> {
  progress?: Progress;
}

/** Where a run talks to the person who started it. */
interface Console {
  readonly bar: ProgressBar;
  readonly signals: Signals;
}

/** Runs the job and returns the exit status. */
export async function run(model: string, flags: RunFlags): Promise<number> {
  const request = requestOf(flags);
  const startedAt = performance.now();
  // Rows that run over the terminal show the progress themselves.
  const rowsOnScreen = request.output === STANDARD_STREAM && process.stdout.isTTY;
  const bar = new ProgressBar(process.stderr, { quiet: flags.quiet || rowsOnScreen });
  const opened: Opened = {};
  const signals = stopOnSignals(() => {
    bar.clear();
    const drains = opened.pipeline ? ' once the rows in flight are finished' : '';
    process.stderr.write(`tandem: stopping${drains}; once more stops at once\n`);
  });
  try {
    await open(model, request, opened, { bar, signals });
    return await runRows(opened as Running, request, { bar, signals, startedAt });
  } catch (error) {
    bar.clear();
    await opened.sink?.abandon();
    if (error instanceof Interrupted) return signals.leave();
    if (isBrokenPipe(error)) return EXIT.ok;
    const status = printError(error);
    if (opened.sink) tellPartial(request, 'what was done until then');
    return status;
  } finally {
    await opened.metrics?.close();
    await opened.pipeline?.close();
    await opened.source?.close();
    signals.release();
  }
}

function requestOf(flags: RunFlags): Request {
  const { input, output, json } = flags;
  const settings = settingsOf({ ...flags, stages: flags.stage });
  if (!input) throw missing('--input FILE', 'the rows to run the model on');
  if (!output) throw missing('--output FILE', 'where the results go');
  if (json && output === STANDARD_STREAM) {
    throw new TandemError('TANDEM_USAGE', '--json and --output - both want stdout', {
      remedy: 'write the rows to a file, or leave --json out',
    });
  }
  return { ...flags, ...settings, input, output, deadline: settings.deadline ?? DEFAULT_DEADLINE };
}

function missing(flag: string, what: string): TandemError {
  return new TandemError('TANDEM_USAGE', `${flag} is missing: ${what}`, { remedy: 'see: tandem run --help' });
}

/** Everything up to the first row. A signal ends each long step at once; the output, which leaves files behind, is opened in one go. */
async function open(model: string, request: Request, opened: Opened, { bar, signals }: Console): Promise<void> {
  const graph = await signals.race(openModel(model));
  const input = inputsOf(graph.inputs, request.input);
  if (input === STANDARD_STREAM && process.stdin.isTTY && !request.quiet) {
    bar.line('reading rows from this terminal; Ctrl-D ends them\n');
  }
  await checkReportFiles(request, { force: request.force, taken: [request.output, ...request.input] });
  const metrics = await serveMetrics(request, opened);
  if (metrics) {
    opened.metrics = metrics;
    if (!request.quiet) bar.line(`metrics at ${metrics.url}\n`);
  }
  const source = await signals.race(openSource(input, graph.inputs, { format: request.inputFormat }));
  opened.source = source;
  opened.sink = await openSink(request.output, {
    format: request.outputFormat,
    force: request.force,
    rows: source.rows,
    outputs: graph.outputs,
    inputs: typeof input === 'string' ? [input] : [...input.values()],
  });
  opened.pipeline = await signals.race(load(graph, source, request, bar));
}

async function load(graph: ModelGraph, source: Source, request: Request, bar: ProgressBar): Promise<Pipeline> {
  const deadline = request.deadline * 1000;
  bar.note('planning …');
  const plan = await planOf(graph, source, { ...request, deadline }, bar);
  const { expected } = plan;
  if (!request.quiet) bar.line(expected ? formatMeasuredPlan(graph, plan, expected) : formatPlan(graph, plan));
  bar.note('loading …');
  const pipeline = await Pipeline.open(graph, plan, { allowFallback: request.allowFallback ?? false, deadline });
  try {
    await pipeline.warmUp(source.rowSpecs, { compute: false });
    return pipeline;
  } catch (error) {
    await pipeline.close();
    throw error;
  }
}

/** Measured, unless the user has a plan already or wants none of it. */
async function planOf(graph: ModelGraph, source: Source, request: Request, bar: ProgressBar): Promise<Plan> {
  const { rowSpecs, rows } = source;
  const { plan: asked = 'auto', allowFallback = false } = request;
  if (asked === 'quick') return makePlan(graph, { ...request, rowSpecs });
  if (asked !== 'auto') return (await import('../plan/plan-file.js')).readPlanFile(asked, graph);
  return settlePlan(graph, { ...request, rowSpecs, rows, allowFallback, onProgress: (text) => bar.note(text) });
}

async function runRows(
  running: Running,
  request: Request,
  { bar, signals, startedAt }: Console & { readonly startedAt: number },
): Promise<number> {
  const { pipeline, source, sink } = running;
  const errors = new ErrorCounts();
  const failed = new FailedRows((line) => bar.line(line));
  const result = await runJob({
    pipeline,
    source,
    sink,
    signal: signals.signal,
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
  const summary = await summarise(pipeline, result, (result.startedAt - startedAt) / 1000, filesOf(request, result));
  if (!request.quiet) process.stderr.write(formatSummary(summary));
  const command = process.argv.slice(2);
  await writeReportFiles(request, recordOf({ pipeline, summary, errors: errors.counts, command }));
  if (result.stopped) tellPartial(request, 'stopped before the end; what was done');
  if (request.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  if (result.stopped) return signals.exitCode!;
  return result.failedRows > 0 ? EXIT.failedRows : EXIT.ok;
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

/** Says where the unfinished output lies, if any of it was written; an archive that could not be put together is several files. */
function tellPartial({ output }: Request, what: string): void {
  if (output === STANDARD_STREAM) return;
  const folder = dirname(output);
  const left = readdirSync(folder).filter(
    (name) => name.startsWith(`${basename(output)}.`) && name.endsWith('.partial'),
  );
  if (left.length === 0) return;
  process.stderr.write(`tandem: ${what} lies in ${left.map((name) => printable(join(folder, name))).join(' and ')}\n`);
}
