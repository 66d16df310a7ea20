/** What a job is, before anything of it runs: its model, its rows, the fingerprint of its output, and how its rows are divided into micro-batches. */
import type { ModelGraph } from '../model/graph.js';
import { type Fingerprint, fingerprintOf } from '../output/fingerprint.js';
import { deadlineMsOf } from '../pool/deadline.js';
import { openGiven } from '../rows/given-values.js';
import type { JobRows } from './job-rows.js';
import { findRows } from './open-rows.js';
import { load, openTask } from './open-run.js';
import type { RunListener } from './run-listener.js';
import type { Division, RunRequest } from './run-request.js';

export interface IdentifiedJob {
  readonly graph: ModelGraph;
  readonly rows: JobRows;
  /** `null` where the rows can be read only once. */
  readonly fingerprint: Fingerprint | null;
}

/** Throws as `openRun` does before it plans. */
export async function identifyJob(request: RunRequest): Promise<IdentifiedJob> {
  const taskModel = request.task ? await openTask(request) : null;
  const graph = await openGiven(taskModel?.file ?? request.model, request);
  const rows = await (taskModel ? taskModel.rows(graph) : findRows(graph, request));
  const fingerprint = await fingerprintOf({ ...request, graph, input: rows.input, rows: rows.identity });
  return { graph, rows, fingerprint };
}

/**
 * The division that a run on this machine would choose, and the number of rows where opening them shows it. Rows of one shape with a micro-batch
 * that was named need no model; else the job is planned and loaded, and closed again. Throws as `openRun`.
 */
export async function divisionOf(
  { graph, rows }: Pick<IdentifiedJob, 'graph' | 'rows'>,
  request: RunRequest,
  listener: RunListener,
): Promise<{ readonly division: Division; readonly rows: number | null }> {
  const source = await rows.open(0, null);
  try {
    const count = source.rows;
    if (!('ragged' in source) && request.microBatch !== undefined) {
      return { division: { microBatch: graph.fixedBatch ?? request.microBatch, lengths: null }, rows: count };
    }
    const found = { earlier: null, deadlineMs: deadlineMsOf(request.deadline) };
    const { pipeline } = await load(graph, source, request, found, listener);
    const { microBatch, lengths = null } = pipeline.plan;
    await pipeline.close();
    return { division: { microBatch, lengths }, rows: count };
  } finally {
    await source.close();
  }
}
