/** tandem: the public names. */
export { type ErrorCode, EXIT, TandemError } from './errors.js';
export {
  openPipeline,
  type PipelineOptions,
  type Row,
  type RowPipeline,
  type RowResult,
  type RowValue,
} from './job/open-pipeline.js';
export type { RowFailure, RowId } from './job/source.js';
export type { Span, StageUse, Timeline } from './pipeline/timeline.js';
export type { LayerRange, Plan, StageOptions, StagePlan } from './plan/plan.js';
export type { DType, Shape, Tensor, TensorSpec, TypedArray } from './tensor.js';
