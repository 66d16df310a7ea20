/** tandem: the public names. */
import './check-runtime.js';

export { type SubmitOptions, type SubmittedJob, submit } from './cluster/submit.js';
export { runWorker, type WorkerOptions } from './cluster/worker.js';
export type { Engine, EngineOptions, LoadedSlice } from './engine/engine.js';
export type { OwnEngineAbout, OwnEngineModule } from './engine/own-engine.js';
export { type ErrorCode, type ErrorOptions, EXIT, TandemError } from './errors.js';
export type { CardSummary } from './job/card-summary.js';
export type { OneAnswer } from './job/generate/answer-one.js';
export type { GenerateSummary } from './job/generate/generate-summary.js';
export {
  type GenerateOptions,
  type GenerateProgress,
  type GenerateTextOptions,
  generate,
  generateText,
} from './job/generate/run-generate.js';
export type { InputFiles } from './job/input-option.js';
export { type InspectOptions, inspectModel } from './job/inspect-model.js';
export type { Inspection, LayerGroup, LayerInspection, RowsInspection } from './job/inspection.js';
export type { Progress } from './job/job.js';
export { openPipeline, type Row, type RowPipeline, type RowResult, type RowValue } from './job/open-pipeline.js';
export type { PipelineOptions, PlanChoice, StageChoice as StageOptions } from './job/pipeline-options.js';
export { type PlanModelOptions, type PlanReport, planModel } from './job/plan-model.js';
export { type RunFileOptions, runFile } from './job/run-file.js';
export type { RunProgress } from './job/run-listener.js';
export {
  type ClassifyOptions,
  classify,
  type EmbedOptions,
  embed,
  type RerankOptions,
  rerank,
} from './job/run-task.js';
export type { StageSummary, Summary } from './job/summary.js';
export type { ModelGraph, TensorFacts } from './model/graph.js';
export type { Slice } from './model/slice.js';
export type { Alternative, CutBy, Expectation, ExpectedStage, Plan, StagePlan } from './plan/plan.js';
export type { DeviceName, LayerRange } from './plan/stage-options.js';
export type { GivenValue } from './rows/given-values.js';
export type { GivenId, RowFailure, RowId } from './rows/source.js';
export type { DType, Shape, Tensor, TensorSpec, TypedArray } from './tensor.js';
export type { TimeEstimate } from './timeline/estimate.js';
export type { Span } from './timeline/spans.js';
export type { Lane, StageUse, Timeline } from './timeline/timeline.js';
