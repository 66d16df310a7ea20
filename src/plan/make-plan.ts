/** Makes the plan of a job from what the user asked for and what the model is. */
import { TandemError } from '../errors.js';
import type { ModelGraph, TensorFacts } from '../model/graph.js';
import { settleThreads } from '../pool/environment.js';
import { factsOf } from '../pool/protocol.js';
import { ThreadPool } from '../pool/thread-pool.js';
import { allocate, type TensorSpec } from '../tensor.js';
import { estimateRanges } from './estimate.js';
import {
  DEFAULT_MICRO_BATCH,
  defaultDepth,
  defaultStages,
  opsOf,
  type Plan,
  rangesFromLayers,
  resolveStages,
  type StageOptions,
  type StagePlan,
} from './plan.js';

export interface PlanRequest {
  /** Default: two CPU stages, or one on a single core. */
  readonly stages?: readonly StageOptions[];
  readonly microBatch?: number;
  readonly depth?: number;
  /** The shape of one row for each graph input, in order, where it is known; what `describe` computes with. */
  readonly rowSpecs: readonly TensorSpec[] | null;
  /** Milliseconds. */
  readonly deadline: number;
}

type UncutStage = Omit<StagePlan, 'layers' | 'ops'>;

export async function makePlan(graph: ModelGraph, request: PlanRequest): Promise<Plan> {
  const asked = request.stages?.length ? request.stages : fittingStages(graph);
  const stages = resolveStages(graph, asked).map((stage, j) => ({
    ...stage,
    threads: settleThreads(stage.engine, stage.threads, asked[j]!.threads !== undefined),
  }));
  const named = rangesFromLayers(graph, asked);
  const facts = named ? null : await describe(graph, stages[0]!, request);
  const ranges = named ?? estimateRanges(graph, stages, facts);
  const ops = opsOf(graph, ranges);
  return {
    stages: stages.map((stage, j) => ({ ...stage, layers: ranges[j]!, ops: ops[j]! })),
    microBatch: microBatchOf(graph, request.microBatch),
    depth: request.depth ?? defaultDepth(stages),
    cutBy: named ? 'layers' : facts ? 'flops' : 'weights',
  };
}

/** A model of one layer runs in one stage. */
function fittingStages(graph: ModelGraph): StageOptions[] {
  return defaultStages().slice(0, Math.max(1, graph.layers.length));
}

function microBatchOf({ fixedBatch }: ModelGraph, asked: number | undefined): number {
  if (fixedBatch === null) return asked ?? DEFAULT_MICRO_BATCH;
  if (asked !== undefined && asked !== fixedBatch) {
    throw new TandemError('TANDEM_USAGE', `the model takes exactly ${fixedBatch} rows at a time, not ${asked}`, {
      remedy: `leave --micro-batch out, or set it to ${fixedBatch}`,
    });
  }
  return fixedBatch;
}

/** The tensors' shapes, computed in a worker of its own that is gone afterwards; `null` when the rows' shape is not known. */
export async function describe(
  graph: ModelGraph,
  { engine, provider, threads }: Pick<UncutStage, 'engine' | 'provider' | 'threads'>,
  { rowSpecs, deadline }: Pick<PlanRequest, 'rowSpecs' | 'deadline'>,
): Promise<TensorFacts | null> {
  if (!rowSpecs) return null;
  const feeds = rowSpecs.map(({ dtype, shape }) => {
    const one = [1, ...(shape as number[])];
    return { dtype, shape: one, data: allocate(dtype, one) };
  });
  const pool = new ThreadPool({ engine, engineOptions: { provider, threads }, workers: 1, deadline });
  try {
    return factsOf(await pool.describe({ model: graph.path, feeds }));
  } finally {
    await pool.close();
  }
}

/** One row's shape for each input, when the model itself tells every dimension but the rows'; else `null`. */
export function rowSpecsOf(graph: ModelGraph): TensorSpec[] | null {
  const specs = graph.inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape: shape.slice(1) }));
  return specs.every(({ shape }) => shape.every((dim) => dim !== null)) ? specs : null;
}
