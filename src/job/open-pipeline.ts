/** The library's door: a model as a pipeline that rows are run through. */
import { TandemError } from '../errors.js';
import type { ModelGraph } from '../model/graph.js';
import { openModel } from '../model/open.js';
import { Pipeline } from '../pipeline/pipeline.js';
import { settlePlan } from '../pipeline/settle-plan.js';
import { makePlan, rowSpecsOf } from '../plan/make-plan.js';
import type { Plan, StageOptions } from '../plan/plan.js';
import { readPlanFile } from '../plan/plan-file.js';
import type { ISOLATIONS } from '../pool/isolation.js';
import { bytesPerElement, type Tensor, type TensorSpec, type TypedArray } from '../tensor.js';
import { checkOptions } from './check-options.js';
import { openObjects } from './formats/open-objects.js';
import { publicOutputs, SourceFeed } from './job.js';
import { rowFailures } from './row-failures.js';
import type { RowFailure, RowId, RowsRead, Source } from './source.js';

/** The options of `tandem run`, in camelCase. */
export interface PipelineOptions {
  /**
   * `quick` (default) cuts by counted FLOPs, as does `auto` where a model leaves dimensions to the rows; else `auto` measures as `tandem run`
   * does. Anything else is the path of a plan.
   */
  readonly plan?: string;
  /** In order; default: two on the CPU, or with `auto` what is fastest here. */
  readonly stages?: readonly StageOptions[];
  /** Rows that travel together; default 32, or what the model fixes. */
  readonly microBatch?: number;
  /** Micro-batches in flight at most; 1 is the sequential split. */
  readonly depth?: number;
  readonly isolation?: (typeof ISOLATIONS)[number];
  /** Let a stage that asked for a GPU run on what is there instead; default false. */
  readonly allowFallback?: boolean;
  /** Seconds that one micro-batch may take in one stage; default 600. */
  readonly deadline?: number;
}

/** Numbers as nested lists, or flat in a typed array (row-major). */
export type RowValue = number | boolean | string | TypedArray | readonly RowValue[];

/** A value when the model has one input; else, or with an id, its inputs by name. */
export type Row = RowValue | { readonly id?: RowId; readonly inputs: Readonly<Record<string, RowValue>> | RowValue };

/** One row's results by output name: private memory, without the rows' axis; or why there are none. */
export type RowResult =
  | { readonly index: number; readonly id: RowId; readonly outputs: Readonly<Record<string, Tensor>> }
  | { readonly index: number; readonly id: RowId; readonly error: RowFailure };

/**
 * Loads a model and makes its stages ready.
 *
 * @param model path of a model.json (LayersModel or GraphModel), a .onnx file, or a folder that holds one
 * @throws TandemError with a code: TANDEM_MODEL_*, TANDEM_WEIGHTS_*, TANDEM_LAYERS_INVALID, TANDEM_CUT_ILLEGAL,
 *   TANDEM_ENGINE_MISSING, TANDEM_DEVICE_FALLBACK, TANDEM_PLAN_IMPOSSIBLE, TANDEM_USAGE
 */
export async function openPipeline(model: string, options: PipelineOptions = {}): Promise<RowPipeline> {
  checkOptions(options);
  const graph = await openModel(model);
  const rowSpecs = rowSpecsOf(graph);
  const deadline = (options.deadline ?? 600) * 1000;
  const plan = await planFor(graph, options, rowSpecs, deadline);
  const settings = { allowFallback: options.allowFallback ?? false, deadline };
  // Where the rows decide dimensions, the first run warms up instead.
  const pipeline = rowSpecs
    ? await Pipeline.openWarm(graph, plan, rowSpecs, settings)
    : await Pipeline.open(graph, plan, settings);
  return new RowPipeline(pipeline);
}

function planFor(
  graph: ModelGraph,
  { plan = 'quick', ...options }: PipelineOptions,
  rowSpecs: readonly TensorSpec[] | null,
  deadline: number,
): Promise<Plan> {
  if (plan === 'quick') return makePlan(graph, { ...options, rowSpecs, deadline });
  if (plan !== 'auto') return Promise.resolve(readPlanFile(plan, graph));
  return settlePlan(graph, { ...options, rowSpecs, deadline, allowFallback: options.allowFallback ?? false });
}

export class RowPipeline implements AsyncDisposable {
  readonly #pipeline: Pipeline;

  /** @internal */
  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  /** What the model takes; axis 0 is the rows' axis, `null` dimensions follow the rows. */
  get inputs(): readonly TensorSpec[] {
    return this.#pipeline.graph.inputs;
  }

  get plan(): Plan {
    return this.#pipeline.plan;
  }

  get graph(): ModelGraph {
    return this.#pipeline.graph;
  }

  /** What ran when, as far as it is kept. */
  get timeline() {
    return this.#pipeline.timeline;
  }

  /**
   * Results in the order of the rows. Rows are read only as fast as slots come free, and no faster than results are
   * taken. A row that does not fit the model, or that its stages cannot compute, gives a result with `error`;
   * the others are not touched by it.
   * @throws TandemError when the pipeline itself fails; one run at a time (TANDEM_USAGE)
   */
  async *run(rows: Iterable<Row> | AsyncIterable<Row>): AsyncGenerator<RowResult> {
    const source = await openRows(rows, this.inputs);
    if (!source) return;
    try {
      await this.#pipeline.warmUp(source.rowSpecs);
      const feed = new SourceFeed(source);
      let firstRow = 0;
      for await (const batch of this.#pipeline.run(feed)) {
        const read = feed.takeRead();
        const failures = rowFailures(firstRow, read, batch.failed);
        const results = resultsOf(firstRow, batch.rows, publicOutputs(this.graph, batch), { ...read, failures });
        firstRow += batch.rows;
        yield* results;
      }
    } finally {
      await source.close();
    }
  }

  /** Ends the stages and frees their memory; safe to call twice. */
  close(): Promise<void> {
    return this.#pipeline.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** No rows are no error for a program, as an empty file is for a job. */
async function openRows(
  rows: Iterable<Row> | AsyncIterable<Row>,
  inputs: readonly TensorSpec[],
): Promise<Source | null> {
  try {
    return await openObjects(rows, inputs);
  } catch (error) {
    if (error instanceof TandemError && error.code === 'TANDEM_INPUT_EMPTY') return null;
    throw error;
  }
}

function resultsOf(
  firstRow: number,
  rows: number,
  outputs: ReadonlyMap<string, Tensor>,
  { failures, ids }: RowsRead,
): RowResult[] {
  const failed = new Map(failures.map((failure) => [failure.index, failure]));
  // The slot is taken back as soon as the next micro-batch is asked for, so values leave it now.
  const kept = [...outputs].map(([name, tensor]) => [name, rowsOf(tensor, rows)] as const);
  return Array.from({ length: rows }, (_, row) => {
    const index = firstRow + row;
    const id = ids?.[row] ?? index;
    const error = failed.get(index);
    if (error) return { index, id, error };
    return { index, id, outputs: Object.fromEntries(kept.map(([name, tensors]) => [name, tensors[row]!])) };
  });
}

/** Each row of a tensor, over one private copy. */
function rowsOf({ dtype, shape, data }: Tensor, rows: number): Tensor[] {
  const copy = data.slice();
  const perRow = copy.byteLength / bytesPerElement(dtype) / rows;
  return Array.from({ length: rows }, (_, row) => ({
    dtype,
    shape: shape.slice(1),
    data: copy.subarray(row * perRow, (row + 1) * perRow),
  }));
}
