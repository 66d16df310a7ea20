/** The request for a run of a file, merged from flags, variables and the config file. */
import type { LengthPlan } from '../plan/length-plan.js';
import type { StageOptions } from '../plan/stage-options.js';
import type { ISOLATIONS } from '../pool/isolation.js';
import type { GivenValue } from '../rows/given-values.js';
import type { RowRange } from '../rows/row-range.js';
import type { TaskRequest } from '../tasks/task-request.js';
import type { MaxErrors } from './max-errors.js';
import type { ReportFiles } from './report-files.js';

/** Settings that a flag, a variable and the config file may give. What is absent is left to the planner. */
export interface RunSettings {
  /** In order. */
  readonly stages?: readonly StageOptions[];
  /** Rows. */
  readonly microBatch?: number;
  readonly depth?: number;
  /** Seconds. */
  readonly deadline?: number;
  readonly isolation?: (typeof ISOLATIONS)[number];
  readonly allowFallback?: boolean;
  /** Accept rows with NaN or infinities. */
  readonly allowNonFinite?: boolean;
  /** `auto` measures as far as it pays, `quick` measures nothing, anything else is the path of a plan. */
  readonly plan?: string;
  readonly maxErrors?: MaxErrors;
  /** Whether a run with failed rows has exit status 0. */
  readonly allowErrors?: boolean;
  /** Values that inputs are given once for all rows, by name. */
  readonly set?: Readonly<Record<string, GivenValue>>;
  /** The rows' axis, by input or output. */
  readonly rowsAxis?: Readonly<Record<string, number>>;
  /** How images become rows: the text of `--image`. */
  readonly image?: string;
  /** The windows of sound: the text of `--window`. */
  readonly window?: string;
  /** By input that is given an output of the window before, that output. */
  readonly carry?: Readonly<Record<string, string>>;
  /** The column of a table that the rows are made of. */
  readonly column?: string;
  /**
   * Columns of the input that are written beside the results; `*` for all. Default: all where a table is made of a table, else none. Names of outputs
   * of the model select these.
   */
  readonly keep?: readonly string[];
}

/** How rows become micro-batches. */
export interface Division {
  readonly microBatch: number;
  /** For rows that differ in length; else `null`. */
  readonly lengths: LengthPlan | null;
}

/** A run of one shard: of some rows, whose results are written as they came out, for the merge. */
export interface ShardRun {
  readonly range: RowRange;
  /** That of the whole job. */
  readonly division: Division;
}

export interface RunRequest extends RunSettings, ReportFiles {
  /** Without one, rows are tensors and results are as the model returns them. */
  readonly task?: TaskRequest;
  readonly model: string;
  /** As of `inputsOf`. */
  readonly input: readonly string[];
  readonly output: string;
  /** As of `PipelineOptions`; only a program gives one. */
  readonly engine?: string | URL;
  /** Seconds. */
  readonly deadline: number;
  readonly inputFormat?: string;
  readonly outputFormat?: string;
  readonly force?: boolean;
  readonly forceNew?: boolean;
  /** The folder that ids of file rows are relative to; absent: the working directory. */
  readonly idsFrom?: string;
  readonly shard?: ShardRun;
  readonly metricsPort?: number;
  readonly metricsHost?: string;
}
