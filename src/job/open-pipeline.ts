/** `openPipeline`: a model as a pipeline that rows are run through. */
import { TandemError } from '../errors.js';
import { fedInputs } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import type { RowsDone } from '../output/sink.js';
import { Pipeline, type PipelineSettings } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import { readPlanFile } from '../plan/plan-file.js';
import { makePlan, rowSpecsOf } from '../planner/make-plan.js';
import { heldToOneRow } from '../planner/measure/one-row.js';
import { settlePlan } from '../planner/settle.js';
import { openSettled, type Planning } from '../planner/settle-rows.js';
import { deadlineMsOf } from '../pool/deadline.js';
import { openGiven } from '../rows/given-values.js';
import { openObjects } from '../rows/json/open-objects.js';
import { type GivenId, goodRows, inOrder, type RowFailure, type RowId, type Source } from '../rows/source.js';
import { bytesPerElement, type Tensor, type TensorSpec, type TypedArray } from '../tensor.js';
import type { Timeline } from '../timeline/timeline.js';
import { checkOptions } from './check-options.js';
import { type Asked, adoptLengths, type OwnLengths, openOwnLengths } from './own-lengths.js';
import type { PipelineOptions } from './pipeline-options.js';
import { stopOf } from './run-listener.js';
import { runRows } from './run-rows.js';
import { runWindows } from './windows/run-windows.js';

/** Numbers as nested lists, or flat in a typed array (row-major). */
export type RowValue = number | bigint | boolean | string | TypedArray | Uint8ClampedArray | readonly RowValue[];

/** A value when the model has one input; else, or with an id, its inputs by name. */
export type Row = RowValue | { readonly id?: RowId; readonly inputs: Readonly<Record<string, RowValue>> | RowValue };

/** One row's results by output name: private memory, without the rows' axis; or why there are none. */
export type RowResult =
  | { readonly index: number; readonly id: RowId; readonly outputs: Readonly<Record<string, Tensor>> }
  | { readonly index: number; readonly id: GivenId; readonly error: RowFailure };

/**
 * Loads a model and makes its stages ready.
 *
 * @param model path of a model.json (LayersModel or GraphModel), a .onnx file, or a folder that holds one
 * @throws TandemError with a code: TANDEM_MODEL_*, TANDEM_WEIGHTS_*, TANDEM_ROWS_AXIS, TANDEM_LAYERS_INVALID, TANDEM_CUT_ILLEGAL,
 *   TANDEM_ENGINE_MISSING, TANDEM_DEVICE_FALLBACK, TANDEM_PLAN_IMPOSSIBLE, TANDEM_USAGE; the reason of `signal`, whose firing later changes nothing
 */
export async function openPipeline(model: string, options: PipelineOptions = {}): Promise<RowPipeline> {
  checkOptions('openPipeline', model, options);
  const { signal, ...rest } = options;
  signal?.throwIfAborted();
  const opening = openChecked(model, rest);
  return stopOf(signal)
    .race(opening)
    .catch((error) => {
      // The caller no longer waits for it, so its stages are ended here.
      opening.then((pipeline) => pipeline.close()).catch(() => {});
      throw error;
    });
}

async function openChecked(model: string, options: PipelineOptions): Promise<RowPipeline> {
  const graph = await openGiven(model, options);
  const rowSpecs = rowSpecsOf(graph);
  const deadlineMs = deadlineMsOf(options.deadline);
  const settings = { allowFallback: options.allowFallback ?? false, deadlineMs };
  return heldToOneRow(graph, { microBatch: options.microBatch, rowSpecs, deadlineMs }, async (held) => {
    const plan = (microBatch = options.microBatch) => planFor(held, { ...options, microBatch }, rowSpecs, deadlineMs);
    const settle = (known: readonly TensorSpec[], opened?: Pipeline) =>
      openSettled(held, { ...options, rowSpecs: known }, optionsOf(held, known, { plan, settings, opened }));
    // If dimensions depend on the rows, the first run warms up instead.
    const { allowNonFinite, stages } = options;
    const rules = { allowNonFinite, asked: { stages, microBatch: held.fixedBatch ?? options.microBatch } };
    if (!rowSpecs) return new RowPipeline(await Pipeline.open(held, await plan(), settings), rules, settle);
    return new RowPipeline(await settle(rowSpecs), rules);
  });
}

interface Opening {
  readonly plan: (microBatch?: number) => Promise<Plan>;
  readonly settings: PipelineSettings;
  /** The pipeline of the plan from before the rows' shapes were known. */
  readonly opened?: Pipeline | undefined;
}

function optionsOf(graph: ModelGraph, rowSpecs: readonly TensorSpec[], { plan, settings, opened }: Opening): Planning {
  return {
    plan: async (microBatch) => {
      if (!opened) return plan(microBatch);
      return { ...opened.plan, microBatch: microBatch ?? opened.plan.microBatch };
    },
    open: async (wanted) => {
      if (opened?.plan.microBatch !== wanted.microBatch || opened.isClosed) {
        await opened?.close();
        return Pipeline.openWarm(graph, wanted, rowSpecs, settings);
      }
      await opened.warmUp(rowSpecs);
      opened.plan = wanted;
      return opened;
    },
  };
}

function planFor(
  graph: ModelGraph,
  { plan = 'quick', ...options }: PipelineOptions,
  rowSpecs: readonly TensorSpec[] | null,
  deadlineMs: number,
): Promise<Plan> {
  if (plan === 'quick') return makePlan(graph, { ...options, rowSpecs, deadlineMs });
  if (plan !== 'auto') return Promise.resolve(readPlanFile(plan, graph));
  return settlePlan(graph, { ...options, rowSpecs, deadlineMs, allowFallback: options.allowFallback ?? false });
}

type Settle = (rowSpecs: readonly TensorSpec[], opened: Pipeline) => Promise<Pipeline>;

/** The rules by which rows are refused, and what was asked for of the plan. */
interface RowRules {
  readonly allowNonFinite?: boolean | undefined;
  readonly asked?: Asked;
}

/** A loaded model whose stages are ready for rows. */
export class RowPipeline implements AsyncDisposable {
  #pipeline: Pipeline;
  readonly #rules: RowRules;
  #settle: Settle | undefined;
  /** The plan for rows of one shape, while the pipeline runs rows that differ in length. */
  #sameLength: Plan | undefined;

  /** @internal `settle` is called when the shapes of rows are known. */
  constructor(pipeline: Pipeline, rules: RowRules = {}, settle?: Settle) {
    this.#pipeline = pipeline;
    this.#rules = rules;
    this.#settle = settle;
  }

  /** The inputs that rows give, the rows' axis in front; `null` dimensions depend on the rows. */
  get inputs(): readonly TensorSpec[] {
    return fedInputs(this.#pipeline.graph);
  }

  /** The running plan: stages, rows of a micro-batch, depth. */
  get plan(): Plan {
    return this.#pipeline.plan;
  }

  /** @internal */
  get graph(): ModelGraph {
    return this.#pipeline.graph;
  }

  /** The recorded spans. */
  get timeline(): Timeline {
    return this.#pipeline.timeline;
  }

  /**
   * Results in the order of the rows. Rows are read only as fast as slots are freed and results are
   * taken. A row that does not fit the model, or that its stages cannot compute, gives a result with `error`;
   * it does not affect other rows. Rows may differ in length where the model leaves that open; results wait for windows of 256 rows then. When `signal` fires, no further rows are read; results in flight are returned, then the signal's reason is thrown.
   * The pipeline can run again after that.
   * @throws TandemError when the pipeline itself fails; one run at a time (TANDEM_USAGE)
   */
  async *run(
    rows: Iterable<Row> | AsyncIterable<Row>,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<RowResult, void, undefined> {
    signal?.throwIfAborted();
    const source = await openRows(rows, this.graph, this.#rules);
    if (!source) return;
    const own = 'survey' in source ? source : null;
    try {
      await this.#makeReady(source);
      const run = own
        ? runWindows(this.#pipeline, own, { signal })
        : await runRows(this.#pipeline, source as Source, { signal });
      for await (const done of run) yield* resultsOf(done);
      signal?.throwIfAborted();
    } finally {
      await (own ? own.ragged : (source as Source)).close();
    }
  }

  /** Warms the pipeline up for rows of one shape, or for rows that differ in length. */
  async #makeReady(source: Source | OwnLengths): Promise<void> {
    const rowSpecs = 'survey' in source ? source.typical : source.rowSpecs;
    if (this.#settle) this.#pipeline = await this.#settle(rowSpecs, this.#pipeline);
    this.#settle = undefined;
    if ('survey' in source) {
      // Once it runs them, it makes room for longer ones by itself.
      if (this.#sameLength) return;
      const { plan } = this.#pipeline;
      await adoptLengths(this.#pipeline, source, this.#rules.asked ?? {});
      this.#sameLength = plan;
    } else if (this.#sameLength) {
      await this.#pipeline.adopt(this.#sameLength, source.rowSpecs);
      this.#sameLength = undefined;
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

/** For a program, no rows are no error; for a job, an empty file is one. */
async function openRows(
  rows: Iterable<Row> | AsyncIterable<Row>,
  graph: ModelGraph,
  { allowNonFinite, asked = {} }: RowRules,
): Promise<Source | OwnLengths | null> {
  const inputs = fedInputs(graph);
  const isOpen = inputs.some(({ shape }) => shape.slice(1).includes(null)) && !inputs.some(({ openRank }) => openRank);
  try {
    if (!isOpen) return await openObjects(rows, inputs, { allowNonFinite });
    return await openOwnLengths(rows, graph, inputs, { rules: { allowNonFinite }, asked });
  } catch (error) {
    if (error instanceof TandemError && error.code === 'TANDEM_INPUT_EMPTY') return null;
    throw error;
  }
}

function resultsOf(done: RowsDone): RowResult[] {
  const { firstRow, rows, outputs, failures, failed, ids, ragged = new Map<string, readonly Tensor[]>() } = done;
  const errors = new Map(inOrder(failures, failed).map((failure) => [failure.index, failure]));
  const refused = new Set(failures.map(({ index }) => index));
  // The slot is freed when the next micro-batch is asked for, so values are copied now.
  const kept = [
    ...[...outputs].map(([name, tensor]) => [name, rowsOf(tensor, goodRows(done))] as const),
    // Those are in memory of their own.
    ...ragged,
  ];
  let next = 0;
  return Array.from({ length: rows }, (_, row) => {
    const index = firstRow + row;
    const error = errors.get(index);
    const place = refused.has(index) ? null : next++;
    if (error) return { index, id: error.id, error };
    return {
      index,
      id: ids?.[row] ?? index,
      outputs: Object.fromEntries(kept.map(([name, tensors]) => [name, tensors[place!]!])),
    };
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
