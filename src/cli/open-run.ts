/** Everything of `tandem run` up to the first row: what lies there from an earlier run, the rows, the plan, the stages, the output. */
import { resolve } from 'node:path';
import { type Fingerprint, fingerprintLoaded, fingerprintOf, PLANNED_HERE } from '../job/fingerprint.js';
import { STANDARD_STREAM } from '../job/format.js';
import type { Progress } from '../job/job.js';
import { journalPath } from '../job/journal.js';
import type { JournalText } from '../job/journal-record.js';
import { checkErrors } from '../job/max-errors.js';
import { openSink } from '../job/open-sink.js';
import { openSource, type SourceInput } from '../job/open-source.js';
import { OutputClaim } from '../job/output-claim.js';
import type { Sink } from '../job/sink.js';
import type { Source } from '../job/source.js';
import type { ModelGraph } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { Pipeline } from '../pipeline/pipeline.js';
import { makePlan, standBy } from '../plan/make-plan.js';
import { isSettled, type Plan } from '../plan/plan.js';
import type { Standby } from '../pool/standby.js';
import type { MetricsServer } from '../report/metrics-server.js';
import type { RunSettings } from './config.js';
import { inputsOf, textsOf } from './input-flag.js';
import { formatMeasuredPlan } from './print-plan.js';
import { formatPlan } from './print-run.js';
import { formatRows, type ProgressBar } from './progress.js';
import { checkReportFiles } from './report-files.js';
import type { RunFlags } from './run-flags.js';
import type { Signals } from './signals.js';

/** What was asked for, from all places together. */
export interface Request extends RunFlags, RunSettings {
  readonly model: string;
  readonly input: readonly string[];
  readonly output: string;
  readonly deadline: number;
}

/** What has been opened so far, and must be closed however the run ends. */
export interface Opened {
  standby?: Standby | null;
  metrics?: MetricsServer;
  claim?: OutputClaim;
  source?: Source;
  sink?: Sink;
  pipeline?: Pipeline;
  /** Whether the output is whole. */
  ended?: boolean;
}

/** All that rows need, and how far the run has come. */
export interface Running extends Opened {
  readonly source: Source;
  readonly sink: Sink;
  readonly pipeline: Pipeline;
  progress?: Progress;
}

interface Console {
  readonly bar: ProgressBar;
  readonly signals: Signals;
}

/**
 * Opens into `opened`, step by step; where the claim on the output is complete, nothing after it. A signal ends each long step
 * at once; what leaves files behind is opened in one go.
 */
export async function openRun(request: Request, opened: Opened, { bar, signals }: Console): Promise<void> {
  const planned = PLANNED_HERE.has(request.plan ?? 'auto');
  if (planned) opened.standby = await standBy(request.model, { ...request, deadline: request.deadline * 1000 });
  const graph = await signals.race(openModel(request.model));
  const input = inputsOf(graph.inputs, request.input);
  if (input === STANDARD_STREAM && process.stdin.isTTY && !request.quiet) {
    bar.line('reading rows from this terminal; Ctrl-D ends them\n');
  }
  const toStream = request.output === STANDARD_STREAM;
  // A new output needs it only once the stages are loaded, and whoever waits for it meets its failure.
  const fingerprint = toStream ? null : fingerprintOf({ ...request, graph, input });
  fingerprint?.catch(() => {});
  if (!toStream) opened.claim = await claim(request, graph, input, fingerprint);
  if (opened.claim?.complete) return;
  const earlier = opened.claim?.earlier ?? null;
  if (earlier?.commit) checkErrors(request.maxErrors, earlier.commit, false);
  await checkReportFiles(request, {
    // Those of a run that was stopped are its own.
    force: request.force || earlier !== null,
    taken: [request.output, journalPath(request.output), ...request.input],
  });
  await openMetrics(request, opened, bar);
  const firstRow = earlier?.commit?.rows ?? 0;
  if (firstRow > 0 && !request.quiet) bar.line(`going on after ${formatRows(firstRow)} of an earlier run\n`);
  const source = await signals.race(openSource(input, graph.inputs, { format: request.inputFormat, firstRow }));
  opened.source = source;
  if (!opened.claim) {
    const { outputFormat: format } = request;
    opened.sink = await openSink(request.output, { format, rows: source.rows, outputs: graph.outputs });
  }
  const pipeline = await signals.race(load(graph, source, request, { earlier, standby: opened.standby }, bar));
  opened.pipeline = pipeline;
  const identified = await fingerprint;
  opened.sink ??= await opened.claim!.open(identified && beginning(identified, pipeline, source, request, input));
}

function claim(
  { output, outputFormat, force, forceNew }: Request,
  graph: ModelGraph,
  input: SourceInput,
  fingerprint: Promise<Fingerprint | null> | null,
): Promise<OutputClaim> {
  const inputs = typeof input === 'string' ? [input] : [...input.values()];
  return OutputClaim.take(output, {
    format: outputFormat,
    force,
    forceNew,
    outputs: graph.outputs,
    inputs,
    fingerprint,
  });
}

async function openMetrics(request: Request, opened: Opened, bar: ProgressBar): Promise<void> {
  if (request.metricsPort === undefined) return;
  const { serveMetrics } = await import('./run-metrics.js');
  const metrics = await serveMetrics({ ...request, metricsPort: request.metricsPort }, opened);
  opened.metrics = metrics;
  if (!request.quiet) bar.line(`metrics at ${metrics.url}\n`);
}

/** What the journal begins with: enough to tell this job from another, and to ask for it again from any folder. */
function beginning(
  fingerprint: Fingerprint,
  pipeline: Pipeline,
  { rows }: Source,
  request: Request,
  input: SourceInput,
) {
  const { output, quiet, json, forceNew, ...kept } = request;
  const plan = PLANNED_HERE.has(kept.plan ?? 'auto') ? undefined : kept.plan;
  const files = Object.entries({ plan, report: kept.report, trace: kept.trace, record: kept.record });
  const paths = files.flatMap(([kind, path]) => (path === undefined ? [] : [[kind, resolve(path)]]));
  return {
    fingerprint: fingerprintLoaded(fingerprint, pipeline.plan, pipeline.loaded),
    plan: pipeline.plan,
    total: rows,
    request: { ...kept, ...Object.fromEntries(paths), model: resolve(request.model), input: textsOf(input) },
  };
}

async function load(
  graph: ModelGraph,
  source: Source,
  request: Request,
  { earlier, standby }: { readonly earlier: JournalText | null; readonly standby?: Standby | null | undefined },
  bar: ProgressBar,
): Promise<Pipeline> {
  const deadline = request.deadline * 1000;
  bar.note('planning …');
  const plan = await planOf(
    graph,
    source,
    { ...request, deadline },
    { earlier: earlier?.begin.plan ?? null, standby },
    bar,
  );
  const { expected } = plan;
  const left = source.rows === null ? null : source.rows - (earlier?.commit?.rows ?? 0);
  if (!request.quiet) bar.line(expected ? formatMeasuredPlan(graph, plan, expected, left) : formatPlan(graph, plan));
  bar.note('loading …');
  const settings = { allowFallback: request.allowFallback ?? false, deadline, standby };
  return Pipeline.openWarm(graph, plan, source.rowSpecs, settings, { compute: false });
}

/** What no byte depends on may be another this time: a job that has crashed as threads goes on as processes. */
function goOn(earlier: Plan, { depth = earlier.depth, isolation = 'auto' }: Request): Plan {
  return { ...earlier, depth, isolation: isolation === 'auto' ? earlier.isolation : isolation };
}

/** That of an earlier run: what was left to tandem once must not come out differently now. Else measured, unless the user has a plan already or wants none of it. */
async function planOf(
  graph: ModelGraph,
  source: Source,
  request: Request,
  { earlier, standby }: { readonly earlier: Plan | null; readonly standby?: Standby | null | undefined },
  bar: ProgressBar,
): Promise<Plan> {
  if (earlier) return goOn(earlier, request);
  const { rowSpecs, rows } = source;
  const { plan: asked = 'auto', allowFallback = false } = request;
  if (asked !== 'auto' && asked !== 'quick') return (await import('../plan/plan-file.js')).readPlanFile(asked, graph);
  if (asked === 'quick' || isSettled(graph, request.stages)) return makePlan(graph, { ...request, rowSpecs, rows });
  // What measures wants the machine for itself.
  await standby?.close();
  const { settlePlan } = await import('../pipeline/settle-plan.js');
  return settlePlan(graph, { ...request, rowSpecs, rows, allowFallback, onProgress: (text) => bar.note(text) });
}
