/** Models that declare any number of rows but compute one at a time: found out by running them, and then run one row at a time. */
import { engineOf, providerFor } from '../../engine/choose.js';
import { TandemError } from '../../errors.js';
import type { ModelGraph, TensorFacts } from '../../model/graph.js';
import { describe } from '../../pool/describe.js';
import { resolveIsolation } from '../../pool/isolation.js';
import type { TensorSpec } from '../../tensor.js';

export interface HeldRequest {
  /** The micro-batch that the user named. */
  readonly microBatch?: number | undefined;
  /** One row's shapes, if they are known. */
  readonly rowSpecs: readonly TensorSpec[] | null;
  /** Milliseconds. */
  readonly deadlineMs: number;
}

/**
 * Runs `attempt` with the graph. If that fails because the model computes one row at a time, runs it again with the graph fixed to one row.
 * Throws what `attempt` throws, and TANDEM_ONE_ROW if the user named more rows.
 */
export async function heldToOneRow<T>(
  graph: ModelGraph,
  request: HeldRequest,
  attempt: (graph: ModelGraph) => Promise<T>,
): Promise<T> {
  try {
    return await attempt(graph);
  } catch (error) {
    if (!(await isOneRow(graph, error, request))) throw error;
  }
  const { microBatch } = request;
  if (microBatch !== undefined && microBatch !== 1) throw takesOneRow(microBatch);
  return attempt({ ...graph, fixedBatch: 1, oneRow: true });
}

async function isOneRow(graph: ModelGraph, error: unknown, { rowSpecs, deadlineMs }: HeldRequest): Promise<boolean> {
  if (!(error instanceof TandemError) || graph.fixedBatch !== null) return false;
  if (error.code === 'TANDEM_ONE_ROW') return true;
  if (error.code !== 'TANDEM_ENGINE_FAILED' && error.code !== 'TANDEM_MODEL_UNSUPPORTED') return false;
  // It failed on a whole micro-batch, or gave one row for all: describing the model finds out whether one row works.
  return describeHere(graph, rowSpecs, deadlineMs).then(
    () => false,
    (found) => found instanceof TandemError && found.code === 'TANDEM_ONE_ROW',
  );
}

/** The shapes and types of the model's tensors, computed on this machine's CPU. Errors as of `describe`. */
export function describeHere(
  graph: ModelGraph,
  rowSpecs: readonly TensorSpec[] | null,
  deadlineMs: number,
): Promise<TensorFacts | null> {
  const engine = engineOf(graph, 'cpu').id;
  const stage = { device: 'cpu', engine, provider: providerFor(engine, 'cpu'), threads: 1 };
  return describe(graph, stage, resolveIsolation('auto', [stage]), { rowSpecs, deadlineMs });
}

function takesOneRow(microBatch: number): TandemError {
  return new TandemError('TANDEM_ONE_ROW', `the model computes one row at a time, not ${microBatch}`, {
    remedy: 'use --micro-batch 1, or leave it out; or export the model with axes that stay dynamic in every op',
  });
}
