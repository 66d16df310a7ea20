/** The options of `openPipeline`. */
import type { DeviceName, StageOptions } from '../plan/stage-options.js';
import type { ISOLATIONS } from '../pool/isolation.js';
import type { GivenValue } from '../rows/given-values.js';

/** How to plan; a plan file's name ends in .json, as `tandem plan --output plan.json` writes it. */
export type PlanChoice = 'auto' | 'quick' | `${string}.json`;

/** A requested stage. */
export interface StageChoice extends StageOptions {
  readonly device: DeviceName;
}

/** The options of `tandem run`, in camelCase. */
export interface PipelineOptions {
  /**
   * The engine, unless a stage names a provider of another one: the id of one that comes with tandem, or an engine of your own, as the `file:` URL
   * or the path of its module, or the name of a package. Workers import it from there. Default: the first that runs the model's format here.
   */
  readonly engine?: string | URL;
  /**
   * `quick` cuts by counted FLOPs, and so does `auto` if dimensions depend on the rows; else `auto` measures: `openPipeline` as
   * `tandem plan` does, `runFile` in proportion to the job. Or the path of a plan. Default: `quick` in `openPipeline`, `auto` in `runFile`.
   */
  readonly plan?: PlanChoice;
  /** In order; default: two on the CPU, or with `auto` the fastest on this machine. */
  readonly stages?: readonly StageChoice[];
  /** Rows of a micro-batch; default 32, or the model's fixed number. */
  readonly microBatch?: number;
  /** Micro-batches in flight at most; with 1 the stages run sequentially. */
  readonly depth?: number;
  readonly isolation?: (typeof ISOLATIONS)[number];
  /** Let a GPU stage run on another device; default false. */
  readonly allowFallback?: boolean;
  /** Let rows pass that hold NaN or infinities; default false: such a row gives a result with `error`. */
  readonly allowNonFinite?: boolean;
  /** Seconds that one micro-batch may take in one stage; default 600. */
  readonly deadline?: number;
  /** Values that inputs are given once for all rows, by name. */
  readonly set?: Readonly<Record<string, GivenValue>>;
  /** The rows' axis, by input or output, if the model does not show it. */
  readonly rowsAxis?: Readonly<Record<string, number>>;
  /** When it fires, the call ends: its promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}
