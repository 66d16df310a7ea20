/** What is asked of the planner. */
import type { ISOLATIONS } from '../pool/isolation.js';
import type { TensorSpec } from '../tensor.js';
import type { StageOptions } from './plan.js';

export interface PlanRequest {
  /** Default: two CPU stages, or one on a single core. */
  readonly stages?: readonly StageOptions[];
  readonly microBatch?: number;
  readonly depth?: number;
  readonly isolation?: (typeof ISOLATIONS)[number];
  /** The shape of one row for each graph input, in order, where it is known; what `describe` computes with. */
  readonly rowSpecs: readonly TensorSpec[] | null;
  /** Rows of the job, where they are known. */
  readonly rows?: number | null;
  /** Milliseconds. */
  readonly deadline: number;
}
