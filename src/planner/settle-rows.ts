/** Settles how many rows a micro-batch has: one if rows change each other's answers, unless the user or the model fixes another number. */
import type { ModelGraph } from '../model/graph.js';
import type { Pipeline } from '../pipeline/pipeline.js';
import type { Plan } from '../plan/plan.js';
import type { TensorSpec } from '../tensor.js';
import { type BatchInvariance, findInvariance, knownInvariance } from './batch-invariance.js';
import type { PlanRequest } from './request.js';

export interface RowsRequest extends Pick<PlanRequest, 'stages' | 'microBatch'> {
  readonly rowSpecs: readonly TensorSpec[];
}

/** How the caller plans and loads; `plan` is given the micro-batch if it is settled. */
export interface Planning {
  readonly plan: (microBatch: number | undefined) => Promise<Plan>;
  /** Opens a pipeline that is ready to run such rows. */
  readonly open: (plan: Plan) => Promise<Pipeline>;
}

export interface Settled {
  readonly plan: Plan;
  /** The loaded pipeline, if the plan had to be loaded to find that out. */
  readonly pipeline: Pipeline | null;
}

/**
 * The plan, with its batch invariance. If that is unknown, it is found out on the plan's own stages, which are then used for the run unless
 * the result makes it another plan. The result is stored, so it costs once. Errors as of `plan` and `open`.
 */
export async function settleRows(graph: ModelGraph, request: RowsRequest, planning: Planning): Promise<Settled> {
  const isOpen = request.microBatch === undefined && graph.fixedBatch === null;
  const known = await knownInvariance(graph, request);
  const plan = await planning.plan(known === false && isOpen ? 1 : request.microBatch);
  if (known !== undefined) return { plan: noted(plan, known), pipeline: null };
  if (plan.microBatch === 1) return { plan, pipeline: null };
  const pipeline = await planning.open(plan);
  const found = await findInvariance(pipeline, request);
  if (found === true || (found === false && !isOpen)) {
    pipeline.plan = noted(plan, found);
    return { plan: pipeline.plan, pipeline };
  }
  // Also if the test failed: the job must not run on stages that it may have damaged.
  await pipeline.close();
  return { plan: noted(found === false ? await planning.plan(1) : plan, found), pipeline: null };
}

/** As `settleRows`, and loaded. */
export async function openSettled(graph: ModelGraph, request: RowsRequest, planning: Planning): Promise<Pipeline> {
  const { plan, pipeline } = await settleRows(graph, request, planning);
  return pipeline ?? planning.open(plan);
}

function noted(plan: Plan, batchInvariant: BatchInvariance): Plan {
  return { ...plan, batchInvariant };
}
