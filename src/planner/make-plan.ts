/** Makes the plan of a job from the request and the model, without measuring. */

import { replicaGroupsOf } from '../arena/replicas.js';
import { usableEngines } from '../engine/choose.js';
import { parseDevice } from '../engine/device.js';
import { TandemError } from '../errors.js';
import { fedInputs } from '../model/fed-inputs.js';
import { type ModelGraph, weightBytes } from '../model/graph.js';
import { findOnnx } from '../model/open.js';
import { hasBudget, mebibytes } from '../plan/budget.js';
import { mayRotate, rotationUnmeasured } from '../plan/check-rotation.js';
import {
  DEFAULT_MICRO_BATCH,
  defaultDepth,
  opsOf,
  type Plan,
  poolOptionsOf,
  rangesFromLayers,
  resolveStages,
  type StagePlan,
} from '../plan/plan.js';
import type { LayerRange, StageOptions } from '../plan/stage-options.js';
import { describe } from '../pool/describe.js';
import { settleThreads } from '../pool/environment.js';
import { type Isolation, resolveIsolation } from '../pool/isolation.js';
import { PreStarted } from '../pool/pre-started.js';
import type { TensorSpec } from '../tensor.js';
import { firstStages, twoStages } from './first-stages.js';
import { largestMicroBatch } from './job-rows.js';
import type { PlanRequest } from './request.js';
import { estimateRanges, speedOf } from './search/estimate.js';
import { shareMicroBatches } from './search/share.js';

type UncutStage = Omit<StagePlan, 'layers' | 'ops'>;

export async function makePlan(graph: ModelGraph, request: PlanRequest): Promise<Plan> {
  const asked = request.stages?.length ? request.stages : unnamedStages(graph, request);
  const resolved = resolveStages(graph, asked);
  if (mayRotate(asked)) throw rotationUnmeasured();
  const isolation = isolationFor(request.isolation ?? 'auto', resolved);
  const stages = withShares(isolation === 'process' ? resolved : shareThreads(resolved, asked));
  const named = rangesFromLayers(graph, asked);
  const facts = named ? null : await describe(graph, stages[0]!, isolation, request);
  const ranges = named ?? estimateRanges(graph, stages, facts);
  const ops = opsOf(graph, ranges);
  checkMemory(graph, asked, ops);
  return {
    stages: stages.map((stage, j) => ({ ...stage, layers: ranges[j]!, ops: ops[j]! })),
    microBatch: microBatchOf(graph, request, stages),
    depth: request.depth ?? defaultDepth(stages),
    isolation,
    cutBy: named ? 'layers' : facts ? 'flops' : 'weights',
  };
}

/**
 * Pre-starts the pools of a plan with these stages before the model is read. `null` if the stages are not known yet: without named layers,
 * planning may measure first, and that needs the machine for itself. Throws TANDEM_USAGE, TANDEM_MODEL_MISSING, TANDEM_ENGINE_MISSING.
 */
export async function preStart(
  model: string,
  {
    stages = [],
    isolation = 'auto',
    deadlineMs,
    engine,
  }: Omit<PlanRequest, 'rowSpecs'> & { readonly engine?: string | URL | undefined },
): Promise<PreStarted | null> {
  const file = stages.some(({ layers }) => layers) ? await findOnnx(model) : null;
  if (!file) return null;
  const engines = (await usableEngines('onnx', engine)).map(({ id }) => id);
  const resolved = resolveStages({ format: 'onnx', engines }, stages);
  return new PreStarted(isolationFor(isolation, resolved), poolOptionsOf(resolved, { deadlineMs }), file);
}

export function isolationFor(
  asked: NonNullable<PlanRequest['isolation']>,
  stages: readonly Pick<UncutStage, 'engine' | 'memory'>[],
): Isolation {
  return resolveIsolation(asked, stages, { budget: hasBudget(stages) });
}

/** Settles the thread counts on which all stages of one process must agree. */
function shareThreads(stages: readonly UncutStage[], asked: readonly StageOptions[]): UncutStage[] {
  return stages.map((stage, j) => ({
    ...stage,
    threads: settleThreads(stage.engine, stage.threads, parseDevice(stage.device), asked[j]!.threads !== undefined),
  }));
}

/** Adds the replicas' shares of the micro-batches. If none are named, they follow the estimated speeds. */
function withShares(stages: readonly UncutStage[]): UncutStage[] {
  return replicaGroupsOf(stages).flatMap(({ stages: places }) => {
    const own = places.map((j) => stages[j]!);
    if (own.length === 1) return own;
    const shared = own.some(({ turns }) => turns !== undefined)
      ? []
      : shareMicroBatches(own.map((each) => 1 / speedOf(each)));
    return own.map((each, n) => ({ ...each, turns: each.turns ?? shared[n] ?? 1 }));
  });
}

/** A stage holds at least its weights. What else it holds is measured once it is loaded. */
function checkMemory(graph: ModelGraph, asked: readonly StageOptions[], ops: readonly LayerRange[]): void {
  for (const [j, { memory }] of asked.entries()) {
    const bytes = weightBytes(graph, ops[j]!.from, ops[j]!.to);
    if (memory === undefined || bytes <= memory) continue;
    throw new TandemError('TANDEM_PLAN_IMPOSSIBLE', `stage ${j} has ${bytes} bytes of weights and may hold ${memory}`, {
      remedy: `give it at least memory=${mebibytes(bytes)}, or fewer layers`,
    });
  }
}

/** If the number of rows is unknown, as in a pipeline that a program opens: two stages, which hold the model once. */
function unnamedStages(graph: ModelGraph, { rows }: PlanRequest): readonly StageOptions[] {
  return rows == null ? twoStages(graph) : firstStages(graph, rows);
}

function microBatchOf(
  { fixedBatch }: ModelGraph,
  { microBatch: asked, rows }: PlanRequest,
  stages: readonly UncutStage[],
): number {
  if (fixedBatch === null) return asked ?? Math.min(DEFAULT_MICRO_BATCH, largestMicroBatch(rows, stages));
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

/** One row's shape for each input that follows the rows, if the model fixes every dimension except the rows; else `null`. */
export function rowSpecsOf(graph: ModelGraph): TensorSpec[] | null {
  const specs = fedInputs(graph).map(({ name, dtype, shape }) => ({ name, dtype, shape: shape.slice(1) }));
  const isKnown = fedInputs(graph).every(({ openRank }) => !openRank);
  return isKnown && specs.every(({ shape }) => shape.every((dim) => dim !== null)) ? specs : null;
}
