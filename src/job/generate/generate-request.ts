/** What is asked of a job that generates texts: plain data, as the journal keeps it. */
import type { StageOptions } from '../../plan/stage-options.js';
import type { AnswerForm } from '../../tasks/generate/row-prompts.js';
import type { SamplingSettings } from '../../tasks/generate/sampling-settings.js';
import type { MaxErrors } from '../max-errors.js';

/** How the model is opened and its prompts are made. */
export interface GenerateSettings {
  /** A variant such as `q4`, or the name of a file in the model's folder. */
  readonly modelFile?: string;
  /** A file with a chat template, or `none`: prompts are continued as they are. Default: that of the model, where it has one. */
  readonly chatTemplate?: string;
  /** A message of the system before each prompt that has none. */
  readonly system?: string;
  /** Tokens of a prompt and its answer together; default: what the model's files say. */
  readonly maxLength?: number;
  /** What the answer must be. */
  readonly form?: AnswerForm;
  /** Over what the model's files say; a row's own settings win over both. */
  readonly sampling: Partial<SamplingSettings>;
}

export interface ModelRequest {
  readonly model: string;
  readonly generate: GenerateSettings;
  /** In order. */
  readonly stages?: readonly StageOptions[];
  /** Sequences that are continued at the same time; default: what memory allows. */
  readonly slots?: number;
}

export interface GenerateRequest extends ModelRequest {
  /** Paths, globs, folders, or `-`. */
  readonly input: readonly string[];
  readonly output: string;
  readonly inputFormat?: string;
  readonly outputFormat?: string;
  /** The column of the prompts. */
  readonly column?: string;
  /** As of `RunSettings`. */
  readonly keep?: readonly string[];
  readonly maxErrors?: MaxErrors;
  readonly allowErrors?: boolean;
  readonly force?: boolean;
  readonly forceNew?: boolean;
}
