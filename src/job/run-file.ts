/** `runFile`: a file of rows through a model into a file of results, as `tandem run` does. */

import { DEFAULT_DEADLINE } from '../pool/deadline.js';
import type { Format, OutputFormat } from '../rows/format.js';
import { checkOptions } from './check-options.js';
import { type InputFiles, inputTexts } from './input-option.js';
import { parseMaxErrors } from './max-errors.js';
import type { Opened } from './open-run.js';
import { closeRun, performRun } from './perform-run.js';
import type { PipelineOptions } from './pipeline-options.js';
import { type RunListener, type RunProgress, stopOf } from './run-listener.js';
import type { RunRequest } from './run-request.js';
import type { Summary } from './summary.js';

/** The options of `tandem run`, in camelCase. */
export interface RunFileOptions extends PipelineOptions {
  readonly input: InputFiles;
  /** The output file; `-` is stdout. It gets its name only when it is complete. */
  readonly output: string;
  /** How many rows may fail before the run stops: a number, or a share of the rows such as `0.5%`. Default: any. */
  readonly maxErrors?: number | `${number}%`;
  /** If the name of the file does not show it. */
  readonly inputFormat?: Format;
  readonly outputFormat?: OutputFormat;
  /** How images become rows, as in `--image`: `resize=224x224,scale=1/255`. It wins over the model's preprocessor_config.json. */
  readonly image?: string;
  /** The windows in which WAV files are run, as in `--window`: `512,hop=256,rate=16000`. */
  readonly window?: string;
  /** By input that is given an output of the window before (zeros at first), that output. */
  readonly carry?: Readonly<Record<string, string>>;
  /** The column of a table that has the images. */
  readonly column?: string;
  /**
   * Columns of the input that are written beside the results; `*` for all. Default: all where a table is made of a table, else none. Names of outputs
   * of the model select these.
   */
  readonly keep?: readonly string[];
  /** Write over an output that exists. */
  readonly force?: boolean;
  /** Start over, and discard what an earlier run has left. */
  readonly forceNew?: boolean;
  /** A file for the report page of the run. */
  readonly report?: string;
  /** A file for the timeline, as ui.perfetto.dev reads it. */
  readonly trace?: string;
  /** A file for the data of the page, as JSON. */
  readonly record?: string;
  /** A port for Prometheus metrics of the run; 0 is any free port. */
  readonly metricsPort?: number;
  /** Default 127.0.0.1. */
  readonly metricsHost?: string;
  /** Called after each written micro-batch. An error that it throws stops the run. */
  readonly onProgress?: (progress: RunProgress) => void;
  /** Called with each notice: what the run waits for, or that the machine was busy during a measurement. */
  readonly onNotice?: (text: string) => void;
}

/**
 * Runs a file of rows through a model, or resumes the job where an earlier run of it ended; the bytes are the same. Rows that fail are listed in
 * `<output>.errors.jsonl` and in the summary, and do not stop the run.
 *
 * When `signal` fires, no further rows are read; those in flight are finished and written, and the promise rejects with the signal's reason. The output does
 * not have its name then; the same call resumes it. A second call for the same output is refused: one writer at a time (TANDEM_OUTPUT_TAKEN).
 * A job with an engine of your own is resumed only by this call with the same module: `tandem resume` imports no module that a journal names.
 *
 * @param model path of a model.json (LayersModel or GraphModel), a .onnx file, or a folder that holds one
 * @returns the summary that `tandem run --json` prints; `null` if the output was complete already
 * @throws TandemError with a code: those of `openPipeline`, TANDEM_INPUT_*, TANDEM_OUTPUT_*, TANDEM_JOURNAL_*, TANDEM_TOO_MANY_ERRORS,
 *   TANDEM_STAGE_*; the reason of `signal`
 */
export async function runFile(model: string, options: RunFileOptions): Promise<Summary | null> {
  checkOptions('runFile', model, options);
  return performFile(requestOf(model, options), options, 'run');
}

/** The run of a request, for all doors to it. `verb` is what the command line calls it. */
export async function performFile(
  request: RunRequest,
  { signal, onProgress, onNotice }: Pick<RunFileOptions, 'signal' | 'onProgress' | 'onNotice'>,
  verb: string,
): Promise<Summary | null> {
  signal?.throwIfAborted();
  const listener: RunListener = {
    // Aborted only between two steps of planning.
    onStep: () => signal?.throwIfAborted(),
    onNotice,
    onProgress: onProgress && ((progress) => onProgress(progress)),
  };
  const opened: Opened = {};
  try {
    const parts = { listener, stop: stopOf(signal), command: [verb, request.model] };
    const summary = await performRun(request, opened, parts);
    if (summary?.stopped) throw signal!.reason;
    return summary;
  } finally {
    await closeRun(opened);
  }
}

export function requestOf(model: string, options: RunFileOptions): RunRequest {
  const { signal: _, onProgress: __, onNotice: ___, input, maxErrors, deadline = DEFAULT_DEADLINE, ...rest } = options;
  const limit = maxErrors === undefined ? undefined : parseMaxErrors(String(maxErrors), 'maxErrors');
  return { ...rest, model, input: inputTexts(input), deadline, ...(limit && { maxErrors: limit }) };
}
