/** The library's doors to text generation: a file of prompts to a file of answers, or one prompt to its answer. */
import type { Format, OutputFormat } from '../../rows/format.js';
import type { AnswerForm } from '../../tasks/generate/row-prompts.js';
import type { SamplingSettings } from '../../tasks/generate/sampling-settings.js';
import { checkOptions } from '../check-options.js';
import { type InputFiles, inputTexts } from '../input-option.js';
import { parseMaxErrors } from '../max-errors.js';
import type { StageChoice } from '../pipeline-options.js';
import { stopOf } from '../run-listener.js';
import { answerOne, type OneAnswer } from './answer-one.js';
import { closeGenerate, type OpenedGenerate, performGenerate } from './generate-file.js';
import type { GenerateSettings } from './generate-request.js';
import type { GenerateSummary } from './generate-summary.js';

/** How a model is opened and its tokens are chosen, as the flags of `tandem generate` in camelCase. What is left out the model's files say. */
export interface GenerateTextOptions extends Partial<Omit<SamplingSettings, 'maxTokens' | 'logprobs'>> {
  /** New tokens of an answer at most; default: what the model's length leaves. */
  readonly maxTokens?: number;
  /** A variant of the model in its folder (`fp16`, `q4`, …), or the name of its file. */
  readonly modelFile?: string;
  /** A file with a chat template, or `none`: prompts are continued as they are. */
  readonly chatTemplate?: string;
  /** A message of the system before each prompt that has none. */
  readonly system?: string;
  /** Tokens of a prompt and its answer together. */
  readonly maxLength?: number;
  /** Answers are JSON of this schema. Needs the package `@mlc-ai/web-xgrammar`. */
  readonly jsonSchema?: object;
  /** Answers are texts of this regular expression. Likewise. */
  readonly regex?: string;
  /** In order; default two on the CPU. Layers are shared out by their weights: device, provider, threads and memory are taken. */
  readonly stages?: readonly StageChoice[];
  readonly signal?: AbortSignal;
  /** Called with each notice: where a setting was read. */
  readonly onNotice?: (text: string) => void;
}

/** The options of `tandem generate`, in camelCase. */
export interface GenerateOptions extends GenerateTextOptions {
  readonly input: InputFiles;
  /** The output file; `-` is stdout. It gets its name only when it is complete. */
  readonly output: string;
  readonly inputFormat?: Format;
  readonly outputFormat?: OutputFormat;
  /** Sequences that are continued at the same time; default 16 for each stage, fewer where `memory` does not hold them. */
  readonly slots?: number;
  /** The column of the prompts. */
  readonly column?: string;
  /** Columns of the input that are written beside the answers; `*` for all. Default: all where a table is made of a table, else none. */
  readonly keep?: readonly string[];
  /** How many rows may fail before the run stops: a number, or a share of the rows such as `0.5%`. Default: any. */
  readonly maxErrors?: number | `${number}%`;
  /** Write over an output that exists. */
  readonly force?: boolean;
  /** Start over, and discard what an earlier run has left. */
  readonly forceNew?: boolean;
  /** Called after each token. An error that it throws stops the run. */
  readonly onProgress?: (progress: GenerateProgress) => void;
}

export interface GenerateProgress {
  /** Of the output, those of earlier runs included. */
  readonly rows: number;
  readonly failedRows: number;
  /** Rows of the input in all; `null` if unknown. */
  readonly total: number | null;
  /** Tokens that this run has made. */
  readonly newTokens: number;
}

/**
 * Answers each prompt of a file with a decoder-only model, or resumes the job where an earlier run of it ended; the bytes are the same. A row has
 * `answer`, `finish_reason`, `prompt_tokens` and `completion_tokens`; a line of an OpenAI batch file is answered as OpenAI answers it. Rows that
 * fail are listed in `<output>.errors.jsonl`, and do not stop the run.
 *
 * When `signal` fires, the promise rejects with its reason; what has been written is kept, and the same call resumes it.
 *
 * @param model a folder with an ONNX decoder, its tokenizer.json and config.json, or the .onnx file in it
 * @returns the summary that `tandem generate --json` prints; `null` if the output was complete already
 * @throws TandemError with a code: TANDEM_USAGE, TANDEM_MODEL_*, TANDEM_INPUT_*, TANDEM_OUTPUT_*, TANDEM_JOURNAL_*, TANDEM_TOO_MANY_ERRORS,
 *   TANDEM_PACKAGE_MISSING without `tokenizers` or `@huggingface/jinja`; the reason of `signal`
 */
export async function generate(model: string, options: GenerateOptions): Promise<GenerateSummary | null> {
  checkOptions('generate', model, options);
  const { input, output, inputFormat, outputFormat, column, keep, maxErrors, force, forceNew, ...rest } = options;
  const { signal, onProgress, onNotice, stages, slots, ...settings } = rest;
  signal?.throwIfAborted();
  const limit = maxErrors === undefined ? undefined : parseMaxErrors(String(maxErrors), 'maxErrors');
  const given = { stages, slots, inputFormat, outputFormat, column, keep, force, forceNew, maxErrors: limit };
  const request = { model, input: inputTexts(input), output, generate: settingsOf(settings), ...whereGiven(given) };
  const listener = {
    ...(onNotice && { onNotice }),
    ...(onProgress && {
      onProgress: ({ rows, failedRows, total }: GenerateProgress, newTokens: number) =>
        onProgress({ rows, failedRows, total, newTokens }),
    }),
  };
  const opened: OpenedGenerate = {};
  try {
    const summary = await performGenerate(request, opened, { listener: listener as never, stop: stopOf(signal) });
    if (summary?.stopped) throw signal!.reason;
    return summary;
  } finally {
    await closeGenerate(opened);
  }
}

/**
 * Answers one prompt, which is the message of a user where the model has a chat template, else it is continued as it is.
 *
 * @param onText called with each piece of the answer as it is made; all pieces together are its text, and none breaks a character
 * @throws TandemError as `generate`; the reason of `signal`
 */
export async function generateText(
  model: string,
  prompt: string,
  options: GenerateTextOptions & { readonly onText?: (piece: string) => void } = {},
): Promise<OneAnswer> {
  checkOptions('generateText', model, options);
  const { signal, onNotice, onText, stages, ...settings } = options;
  signal?.throwIfAborted();
  const listener = { ...(onNotice && { onNotice }), ...(onText && { onText }) };
  return answerOne({ model, generate: settingsOf(settings), ...whereGiven({ stages }) }, prompt, listener, signal);
}

function settingsOf(options: Omit<GenerateTextOptions, 'signal' | 'onNotice' | 'stages'>): GenerateSettings {
  const { modelFile, chatTemplate, system, maxLength, jsonSchema, regex, ...sampling } = options;
  const form: AnswerForm | undefined =
    jsonSchema !== undefined
      ? { kind: 'schema', schema: jsonSchema }
      : regex !== undefined
        ? { kind: 'regex', pattern: regex }
        : undefined;
  return { ...whereGiven({ modelFile, chatTemplate, system, maxLength, form }), sampling: whereGiven(sampling) };
}

function whereGiven<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
