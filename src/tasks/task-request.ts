/** What is asked of a task: plain data, as the journal of a job keeps it. */

const TASKS = ['embed', 'classify', 'rerank'] as const;
export type TaskName = (typeof TASKS)[number];

export interface TaskSettings {
  /** A variant such as `q8`, or the name of a file in the model's folder. */
  readonly modelFile?: string;
  /** The column of the texts. */
  readonly column?: string;
  /** The columns of a pair. */
  readonly query?: string;
  readonly document?: string;
  /** The name of a prompt of the model, or a text that is put before each text. */
  readonly prompt?: string;
  /** `cut`, `error`, `split`, `split:256,overlap=32`. */
  readonly long?: string;
  /** The first numbers of each embedding that are kept. */
  readonly dims?: number;
  /** The element type of embeddings. */
  readonly dtype?: string;
  /** The labels that are given, the best first. */
  readonly top?: number;
  /** Compute a text once that comes again soon. */
  readonly dedupe?: boolean;
}

export interface TaskRequest extends TaskSettings {
  readonly name: TaskName;
}
