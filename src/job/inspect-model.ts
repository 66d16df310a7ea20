/** `inspectModel`: the layers of a model by number, and the live tensors across a cut before each. */
import { readRunnable } from '../engine/runnable.js';
import { asTandemError } from '../errors.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { decideRows } from '../model/rows-axis.js';
import { Pipeline } from '../pipeline/pipeline.js';
import { findInvariance, knownInvariance } from '../planner/batch-invariance.js';
import { makePlan, rowSpecsOf } from '../planner/make-plan.js';
import { describeHere, heldToOneRow } from '../planner/measure/one-row.js';
import { deadlineMsOf } from '../pool/deadline.js';
import { type GivenValue, givenValues } from '../rows/given-values.js';
import { checkOptions } from './check-options.js';
import { inspect } from './inspect-graph.js';
import type { Inspection } from './inspection.js';
import type { PipelineOptions } from './pipeline-options.js';

export interface InspectOptions extends Pick<PipelineOptions, 'engine'> {
  /** Values that inputs are given once for all rows, by name. */
  readonly set?: Readonly<Record<string, GivenValue>>;
  /** The rows' axis, by input or output, if the model does not show it. */
  readonly rowsAxis?: Readonly<Record<string, number>>;
}

/**
 * The layers of a model by number, with shapes, weights and live tensors across a cut before each, as `tandem inspect --json` prints them. Sizes are
 * bytes, those of live tensors for one row. Shapes need the model's engine: if it is absent, `note` gives the reason.
 *
 * @param model path of a model.json (LayersModel or GraphModel), a .onnx file, or a folder that holds one
 * @throws TandemError with a code: TANDEM_MODEL_*, TANDEM_WEIGHTS_*, TANDEM_INPUT_MISSING, TANDEM_ENGINE_MISSING, TANDEM_USAGE
 */
export async function inspectModel(model: string, options: InspectOptions = {}): Promise<Inspection> {
  checkOptions('inspectModel', model, options);
  return inspectGiven(model, options);
}

/** The same with options that have been checked. */
export async function inspectGiven(
  model: string,
  { engine, set = {}, rowsAxis = {} }: InspectOptions,
): Promise<Inspection> {
  const read = await readRunnable(model, { fed: Object.keys(set), engine });
  const settled = { given: await givenValues(read, set, true), axes: new Map(Object.entries(rowsAxis)) };
  const { problems, ...decided } = decideRows(read, settled);
  const graph = { ...read, ...decided };
  const known = problems.size > 0 ? NOT_DECIDED : await factsFor(graph);
  const seen = known.graph ?? graph;
  const batchInvariant = known.facts.size > 0 ? await invarianceOf(seen).catch(() => null) : null;
  return inspect(seen, known.facts, known.note, problems, batchInvariant);
}

interface Known {
  /** The graph with what running it has shown. */
  readonly graph?: ModelGraph;
  readonly facts: TensorFacts;
  readonly note: string | null;
}

const DEADLINE_MS = deadlineMsOf();
const NOT_DECIDED: Known = { facts: new Map(), note: "shapes are not known until the rows' axis is given" };
const ONE_ROW =
  'it takes any number of rows by its signature, and computes one row at a time: micro-batches are of one row';

/** Shapes need the engine; without it the rest is reported, with the reason. */
async function factsFor(graph: ModelGraph): Promise<Known> {
  const rowSpecs = rowSpecsOf(graph);
  if (!rowSpecs)
    return {
      facts: new Map(),
      note: 'the shapes of this model depend on the rows, so they are not known before a run',
    };
  try {
    return await heldToOneRow(graph, { rowSpecs, deadlineMs: DEADLINE_MS }, async (held) => ({
      graph: held,
      facts: (await describeHere(held, rowSpecs, DEADLINE_MS))!,
      note: held.oneRow ? ONE_ROW : null,
    }));
  } catch (error) {
    const { message, remedy } = asTandemError(error);
    return { facts: new Map(), note: `shapes are not known: ${message}${remedy ? `; ${remedy}` : ''}` };
  }
}

/** A larger model is not loaded as a whole only for the inspection. */
const MOST_BYTES = 512 * 2 ** 20;

/** Known, or tested on the CPU. */
async function invarianceOf(graph: ModelGraph): Promise<boolean | null> {
  const rowSpecs = rowSpecsOf(graph)!;
  const known = await knownInvariance(graph, { rowSpecs });
  if (known !== undefined || graph.fixedBatch === 1) return known ?? null;
  if (weightBytes(graph, 0, graph.ops.length) > MOST_BYTES) return null;
  const stages = [{ device: 'cpu', layers: { from: 0, to: graph.layers.length - 1 } }];
  const plan = await makePlan(graph, { stages, microBatch: graph.fixedBatch ?? 3, rowSpecs, deadlineMs: DEADLINE_MS });
  const settings = { allowFallback: false, deadlineMs: DEADLINE_MS };
  const pipeline = await Pipeline.openWarm(graph, plan, rowSpecs, settings, { compute: false });
  try {
    return await findInvariance(pipeline, { rowSpecs });
  } finally {
    await pipeline.close();
  }
}
