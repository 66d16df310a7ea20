/** Makes the plan of a job from what the user asked for and what the model is. */

import { sectionsOf } from '../arena/turns.js';
import { parseDevice } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import { type ModelGraph, type TensorFacts, weightBytes } from '../model/graph.js';
import { findOnnx } from '../model/open.js';
import { settleThreads } from '../pool/environment.js';
import { closePools, type Isolation, openPools, resolveIsolation } from '../pool/isolation.js';
import { factsOf } from '../pool/protocol.js';
import { Standby } from '../pool/standby.js';
import { type TensorSpec, zeroRows } from '../tensor.js';
import { hasBudget, mebibytes } from './budget.js';
import { estimateRanges, speedOf } from './estimate.js';
import { largestMicroBatch } from './job-rows.js';
import {
  DEFAULT_MICRO_BATCH,
  defaultDepth,
  defaultStages,
  type LayerRange,
  opsOf,
  type Plan,
  poolOptionsOf,
  rangesFromLayers,
  resolveStages,
  type StageOptions,
  type StagePlan,
} from './plan.js';
import type { PlanRequest } from './plan-request.js';
import { shareTurns } from './share-turns.js';

type UncutStage = Omit<StagePlan, 'layers' | 'ops'>;

export async function makePlan(graph: ModelGraph, request: PlanRequest): Promise<Plan> {
  const asked = request.stages?.length ? request.stages : fittingStages(graph);
  const resolved = resolveStages(graph, asked);
  const isolation = isolationFor(request.isolation ?? 'auto', resolved);
  const stages = withTurns(isolation === 'process' ? resolved : shareThreads(resolved, asked));
  const named = rangesFromLayers(graph, asked);
  const facts = named ? null : await describe(graph, stages[0]!, isolation, request);
  const ranges = named ?? estimateRanges(graph, stages, facts);
  const ops = opsOf(graph, ranges);
  checkMemory(graph, asked, ops);
  return {
    stages: stages.map((stage, j) => ({ ...stage, layers: ranges[j]!, ops: ops[j]! })),
    microBatch: microBatchOf(graph, request),
    depth: request.depth ?? defaultDepth(stages),
    isolation,
    cutBy: named ? 'layers' : facts ? 'flops' : 'weights',
  };
}

/**
 * The pools that a plan of these stages will want, on their way before the model is read. `null` where that cannot be known: where
 * layers are not named, the stages may be planned otherwise, by measurements that want the machine for themselves. Throws TANDEM_USAGE,
 * TANDEM_MODEL_MISSING.
 */
export async function standBy(
  model: string,
  { stages = [], isolation = 'auto', deadline }: Omit<PlanRequest, 'rowSpecs'>,
): Promise<Standby | null> {
  const file = stages.some(({ layers }) => layers) ? await findOnnx(model) : null;
  if (!file) return null;
  const resolved = resolveStages({ format: 'onnx' }, stages);
  return new Standby(isolationFor(isolation, resolved), poolOptionsOf(resolved, { deadline }), file);
}

/** A budget can be held to only where the stage's memory can be told apart. */
export function isolationFor(
  asked: NonNullable<PlanRequest['isolation']>,
  stages: readonly Pick<UncutStage, 'engine' | 'memory'>[],
): Isolation {
  return asked === 'auto' && hasBudget(stages) ? 'process' : resolveIsolation(asked, stages);
}

/** What stages of one process must agree on. */
function shareThreads(stages: readonly UncutStage[], asked: readonly StageOptions[]): UncutStage[] {
  return stages.map((stage, j) => ({
    ...stage,
    threads: settleThreads(stage.engine, stage.threads, parseDevice(stage.device), asked[j]!.threads !== undefined),
  }));
}

/** Where nobody says how stages beside each other share the micro-batches, it is by their estimated speed. */
function withTurns(stages: readonly UncutStage[]): UncutStage[] {
  return sectionsOf(stages).flatMap(({ stages: places }) => {
    const own = places.map((j) => stages[j]!);
    if (own.length === 1) return own;
    const shared = own.some(({ turns }) => turns !== undefined) ? [] : shareTurns(own.map((each) => 1 / speedOf(each)));
    return own.map((each, n) => ({ ...each, turns: each.turns ?? shared[n] ?? 1 }));
  });
}

/** Weights alone are the least that a stage holds. What else it holds is measured only once it is loaded. */
function checkMemory(graph: ModelGraph, asked: readonly StageOptions[], ops: readonly LayerRange[]): void {
  for (const [j, { memory }] of asked.entries()) {
    const bytes = weightBytes(graph, ops[j]!.from, ops[j]!.to);
    if (memory === undefined || bytes <= memory) continue;
    throw new TandemError('TANDEM_PLAN_IMPOSSIBLE', `stage ${j} has ${bytes} bytes of weights and may hold ${memory}`, {
      remedy: `give it at least memory=${mebibytes(bytes)}, or fewer layers`,
    });
  }
}

/** A model of one layer runs in one stage. */
function fittingStages(graph: ModelGraph): StageOptions[] {
  return defaultStages().slice(0, Math.max(1, graph.layers.length));
}

function microBatchOf({ fixedBatch }: ModelGraph, { microBatch: asked, rows }: PlanRequest): number {
  if (fixedBatch === null) return asked ?? Math.min(DEFAULT_MICRO_BATCH, largestMicroBatch(rows));
  if (asked !== undefined && asked !== fixedBatch) {
    throw new TandemError(
      'TANDEM_USAGE',
      `the model takes exactly ${fixedBatch} row${fixedBatch === 1 ? '' : 's'} at a time, not ${asked}`,
      {
        remedy: `leave --micro-batch out, or set it to ${fixedBatch}`,
      },
    );
  }
  return fixedBatch;
}

/** The tensors' shapes, computed in a worker of its own that is gone afterwards; `null` when the rows' shape is not known. */
export async function describe(
  graph: ModelGraph,
  { device, engine, provider, threads }: Pick<UncutStage, 'device' | 'engine' | 'provider' | 'threads'>,
  isolation: Isolation,
  { rowSpecs, deadline }: Pick<PlanRequest, 'rowSpecs' | 'deadline'>,
): Promise<TensorFacts | null> {
  if (!rowSpecs) return null;
  const opened = await openPools(isolation, [
    { device, engine, engineOptions: { provider, threads }, workers: 1, deadline },
  ]);
  try {
    return factsOf(await opened.pools[0]!.describe({ model: graph.path, feeds: zeroRows(rowSpecs, 1) }));
  } finally {
    await closePools(opened);
  }
}

/** One row's shape for each input, when the model itself tells every dimension but the rows'; else `null`. */
export function rowSpecsOf(graph: ModelGraph): TensorSpec[] | null {
  const specs = graph.inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape: shape.slice(1) }));
  return specs.every(({ shape }) => shape.every((dim) => dim !== null)) ? specs : null;
}
