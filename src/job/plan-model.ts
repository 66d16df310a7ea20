/** `planModel`: the best plan for a model on this machine and its rate, by measuring. */
import { TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import { Pipeline } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import { rowSpecsOf } from '../planner/make-plan.js';
import { heldToOneRow } from '../planner/measure/one-row.js';
import { planBeside } from '../planner/plan-beside.js';
import { type SettleRequest, settlePlan } from '../planner/settle.js';
import { type Settled, settleRows } from '../planner/settle-rows.js';
import { deadlineMsOf } from '../pool/deadline.js';
import type { Format } from '../rows/format.js';
import { openGiven } from '../rows/given-values.js';
import type { Preparing } from '../rows/preparing.js';
import type { LengthSurvey } from '../rows/ragged-source.js';
import type { TaskRequest } from '../tasks/task-request.js';
import type { TensorSpec } from '../tensor.js';
import { type TimeEstimate, timeEstimateOf } from '../timeline/estimate.js';
import { checkOptions } from './check-options.js';
import { type InputFiles, inputTexts } from './input-option.js';
import type { JobRows, RowsRequest } from './job-rows.js';
import { findRows } from './open-rows.js';
import type { PipelineOptions } from './pipeline-options.js';
import { orDecoder, refuseDecoder } from './refuse-decoder.js';
import { checkPlace } from './report-files.js';
import type { RunRequest, RunSettings } from './run-request.js';
import { textsAskFor } from './text-rows.js';
import { type LengthsReport, lengthsReport } from './windows/lengths-report.js';
import { type Loading, loadWindows, preparingOf, typicalOf, type Windowed } from './windows/load-windows.js';
import type { TypicalRows } from './windows/plan-lengths.js';

/** The options of `tandem plan`, in camelCase. */
export interface PlanModelOptions
  extends Pick<
    PipelineOptions,
    | 'engine'
    | 'stages'
    | 'microBatch'
    | 'depth'
    | 'isolation'
    | 'allowFallback'
    | 'deadline'
    | 'set'
    | 'rowsAxis'
    | 'signal'
  > {
  /** Rows, for dimensions that the model leaves open and for the time estimate of a job. */
  readonly input?: InputFiles;
  /** If the name of the input does not show it. */
  readonly inputFormat?: Format;
  /** How images become rows, as in `--image`. */
  readonly image?: string;
  /** The windows in which WAV files are run, as in `--window`: `512,hop=256,rate=16000`. */
  readonly window?: string;
  /** By input that is given an output of the window before (zeros at first), that output. */
  readonly carry?: Readonly<Record<string, string>>;
  /** The column of a table that has the images. */
  readonly column?: string;
  /** A file to write the plan to, for `plan` of `runFile` and `openPipeline`. */
  readonly output?: string;
  /** Called with the name of each step. */
  readonly onProgress?: (step: string) => void;
  /** Called with each notice: that the machine was busy, or that a measurement is not kept. */
  readonly onNotice?: (text: string) => void;
}

/** What `tandem plan --json` prints. */
export interface PlanReport extends Plan {
  readonly schema: 1;
  /** For the rows of `input`, if the plan was measured: seconds, rows per second, the bubble as a share. JSON lines of more than 1 MiB are not counted: `rows` is then an estimate. */
  readonly job?: TimeEstimate & { readonly rows: number };
  /** For rows of `input` that differ in length. */
  readonly rowLengths?: LengthsReport;
}

/**
 * Measures the model on this machine and returns the best plan with its expected rate. The measurements are kept for the next call.
 *
 * @param model path of a model.json (LayersModel or GraphModel), a .onnx file, or a folder that holds one
 * @throws TandemError with a code: TANDEM_MODEL_*, TANDEM_WEIGHTS_*, TANDEM_INPUT_*, TANDEM_ENGINE_MISSING, TANDEM_PLAN_IMPOSSIBLE, TANDEM_USAGE,
 *   TANDEM_OUTPUT_FAILED; the reason of `signal`, at the end of the present measurement
 */
export async function planModel(model: string, options: PlanModelOptions = {}): Promise<PlanReport> {
  checkOptions('planModel', model, options);
  const { signal, input, inputFormat, output, onProgress, onNotice, ...settings } = options;
  signal?.throwIfAborted();
  if (output !== undefined) await checkPlace(output);
  const files = input === undefined ? undefined : inputTexts(input);
  const asked = await measuringRequest(model, { ...settings, input: files, inputFormat });
  const { graph, plan } = await planGiven(asked, {
    // Aborted only between two steps, so that no process of a stage is left over.
    onProgress: (step) => {
      signal?.throwIfAborted();
      onProgress?.(step);
    },
    onCaution: onNotice,
  });
  signal?.throwIfAborted();
  if (output !== undefined) (await import('../plan/plan-file.js')).writePlanFile(output, graph, plan);
  return reportOf(plan, asked);
}

/** The request for measuring. */
export interface MeasuringRequest {
  readonly graph: ModelGraph;
  readonly request: RunSettings &
    SettleRequest & { readonly rowSpecs: readonly TensorSpec[]; readonly rows: number | null };
  /** Rows of the job, if known. */
  readonly rows: number | null;
  /** What prepares the rows in threads of its own, measured; its source is closed. */
  readonly preparing: Preparing | null;
  /** Rows that differ in length; then `request` is about typical ones. */
  readonly lengths?: { readonly windows: Windowed & { readonly survey: LengthSurvey }; readonly typical: TypicalRows };
}

/** Reads the model and the shapes of the rows. `deadline` is in seconds; the result's is in milliseconds. */
export async function measuringRequest(
  model: string,
  {
    input,
    inputFormat,
    engine,
    ...settings
  }: RunSettings & Pick<RunRequest, 'engine' | 'inputFormat'> & { readonly input?: readonly string[] },
): Promise<MeasuringRequest> {
  // Only a run refuses non-finite values.
  const { column: named } = settings;
  const task = input ? await textsAskFor(model, { input, inputFormat, column: named }) : null;
  const texts = task && (await textModel(model, task, { input: input!, inputFormat }));
  const graph = await openGiven(texts?.file ?? model, { ...settings, engine, allowNonFinite: true });
  const { allowFallback = false, deadline, image, column, window, carry, ...others } = settings;
  const { set } = settings;
  const asked = { input, inputFormat, image, column, window, carry, set };
  if (!input) refuseDecoder(graph, set);
  const rows = texts ? await orDecoder(graph, set, texts.rows(graph)) : null;
  const { planned, ...seen } = await orDecoder(graph, set, rowsOf(graph, asked, settings, rows));
  return { graph, ...seen, request: { ...others, ...planned, allowFallback, deadlineMs: deadlineMsOf(deadline) } };
}

/** The plan, and the graph that it is for. */
export async function planGiven(
  { graph: read, request, lengths, preparing }: MeasuringRequest,
  listeners: Pick<SettleRequest, 'onProgress' | 'onCaution'>,
): Promise<{ readonly graph: ModelGraph; readonly plan: Plan }> {
  const beside = { preparing, mayReserve: !request.stages?.length, perRow: lengths?.typical.perRow ?? 1 };
  return heldToOneRow(read, request, async (graph) => {
    const settled = await settleRows(graph, request, {
      plan: (microBatch) => planBeside(beside, () => settlePlan(graph, { ...request, microBatch, ...listeners })),
      open: (plan) => Pipeline.openWarm(graph, plan, request.rowSpecs, request, { compute: false }),
    });
    const pipeline = lengths ? await loadLengths(graph, settled, request, lengths) : settled.pipeline;
    await pipeline?.close();
    return { graph, plan: pipeline?.plan ?? settled.plan };
  });
}

/** Loads the plan, since only that shows whether rows may be padded. */
function loadLengths(
  graph: ModelGraph,
  settled: Settled,
  request: MeasuringRequest['request'],
  { windows, typical }: NonNullable<MeasuringRequest['lengths']>,
): Promise<Pipeline> {
  const { stages, microBatch } = request;
  const asked = { stages, microBatch: graph.fixedBatch ?? microBatch };
  const open: Loading['open'] = async (plan, longestSpecs, openSpecs) => {
    const pipeline = await Pipeline.open(graph, plan, request);
    try {
      await pipeline.warmUp(longestSpecs, openSpecs);
      return pipeline;
    } catch (error) {
      await pipeline.close();
      throw error;
    }
  };
  return loadWindows(windows, settled, { request: asked, typical, open });
}

/** The plan with the time estimate of a job of so many rows, if there is one. */
export function reportOf(plan: Plan, { rows, lengths }: Pick<MeasuringRequest, 'rows' | 'lengths'>): PlanReport {
  const estimate = rows === null ? null : timeEstimateOf(plan, rows);
  const survey = lengths?.windows.survey;
  return {
    schema: 1,
    ...plan,
    ...(estimate ? { job: { rows: rows!, ...estimate } } : {}),
    ...(survey ? { rowLengths: lengthsReport(plan, survey, rows) } : {}),
  };
}

/** Loaded only where there are texts. */
async function textModel(model: string, task: TaskRequest, request: Pick<RowsRequest, 'input' | 'inputFormat'>) {
  const { TaskModel } = await import('./task-rows.js');
  return TaskModel.open({ ...request, model, task, outputFormat: 'jsonl' });
}

/** Known, or about so many. */
function rowsIn({ rows, rowsAbout = null, survey }: Windowed & { readonly survey: LengthSurvey }): number | null {
  if (rows !== null || !survey.isWhole) return rows ?? rowsAbout;
  return [...survey.lengths.values()].reduce((sum, count) => sum + count, 0);
}

/** One row's shapes: the model's own, or those of the first row of a file. */
async function rowsOf(
  graph: ModelGraph,
  { input, ...request }: Omit<RowsRequest, 'input'> & { readonly input?: readonly string[] | undefined },
  settings: Pick<RunSettings, 'stages' | 'microBatch'>,
  texts: JobRows | null,
): Promise<
  Pick<MeasuringRequest, 'rows' | 'lengths' | 'preparing'> & {
    planned: Pick<MeasuringRequest['request'], 'rowSpecs' | 'rows'>;
  }
> {
  if (input) {
    const rows = texts ?? (await findRows(graph, { ...request, input }));
    const source = await rows.open(0, null);
    const preparing = preparingOf(source);
    await (preparing?.measure() ?? Promise.resolve()).finally(() => source.close());
    if ('ragged' in source) {
      const typical = typicalOf(source, settings, undefined);
      const windows = source as Windowed & { survey: LengthSurvey };
      return { rows: rowsIn(windows), preparing, lengths: { windows, typical }, planned: typical };
    }
    const about = source.rows ?? source.rowsAbout ?? null;
    return { rows: about, preparing, planned: { rowSpecs: source.rowSpecs, rows: about } };
  }
  const rowSpecs = rowSpecsOf(graph);
  if (rowSpecs) return { rows: null, preparing: null, planned: { rowSpecs, rows: null } };
  throw new TandemError('TANDEM_USAGE', 'the model leaves dimensions open, which only rows show', {
    remedy: 'give some rows with --input FILE',
  });
}
