/** A request to the planner. */

import type { StageOptions } from '../plan/stage-options.js';
import type { ISOLATIONS } from '../pool/isolation.js';
import type { TensorSpec } from '../tensor.js';

export interface PlanRequest {
  /** Default: as `firstStages`; two CPU stages if the number of rows is unknown. */
  readonly stages?: readonly StageOptions[];
  readonly microBatch?: number;
  readonly depth?: number;
  readonly isolation?: (typeof ISOLATIONS)[number];
  /** The shape of one row for each graph input, in order, if known; `describe` computes with these. */
  readonly rowSpecs: readonly TensorSpec[] | null;
  /** Rows of the job, if known. */
  readonly rows?: number | null;
  /** Milliseconds. */
  readonly deadlineMs: number;
}
