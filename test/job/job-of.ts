/** A job as an output's claim is told of it, planned and loaded. */
import type { Loaded } from '../../src/job/output-claim.js';
import type { Plan, StagePlan } from '../../src/plan/plan.js';

export const FINGERPRINT = { input: 'rows' };

export function jobOf({ rows, microBatch }: { rows: number; microBatch: number }): Loaded {
  const stage: StagePlan = {
    ...{ device: 'cpu', engine: 'onnxruntime', provider: 'cpu', threads: 1, workers: 1 },
    ...{ layers: { from: 0, to: 1 }, ops: { from: 0, to: 2 } },
  };
  const plan: Plan = { stages: [stage], microBatch, depth: 3, isolation: 'thread', cutBy: 'layers' };
  return { fingerprint: FINGERPRINT, plan, request: null, total: rows };
}
