/** The library's doors to the tasks by name: a file of texts (or images) to embeddings, labels or scores. */
import type { ElementType } from '../tasks/embed/element-type.js';
import type { TaskName, TaskRequest } from '../tasks/task-request.js';
import { checkOptions } from './check-options.js';
import { performFile, type RunFileOptions, requestOf } from './run-file.js';
import type { Summary } from './summary.js';

/** What all tasks have. */
interface TaskOptions extends RunFileOptions {
  /** A variant of the model in its folder (`fp16`, `int8`, `q8`, …), or the name of its file. */
  readonly modelFile?: string;
  /** What becomes of texts with more tokens than the model takes: `cut` (the default), `error`, or `split:256,overlap=32`. */
  readonly long?: string;
  /** Compute a text once that comes again within a window of rows. */
  readonly dedupe?: boolean;
}

/** The options of `tandem embed`, in camelCase. */
export interface EmbedOptions extends TaskOptions {
  /** Put before each text: the name of a prompt of the model, or the text itself. */
  readonly prompt?: string;
  /** The first numbers of each embedding that are kept. */
  readonly dims?: number;
  /** Default `f32`. */
  readonly dtype?: ElementType;
}

/** The options of `tandem classify`, in camelCase. */
export interface ClassifyOptions extends TaskOptions {
  readonly prompt?: string;
  /** Labels of each row, the best first. Default 1; all where each label has a score of its own. */
  readonly top?: number;
}

/** The options of `tandem rerank`, in camelCase. */
export interface RerankOptions extends TaskOptions {
  /** The columns of a pair; default `query` and `document`. */
  readonly query?: string;
  readonly document?: string;
}

/**
 * Gives each text of a file its embedding, as sentence-transformers does: tokenised, computed, pooled and normalised by the settings of the model's folder.
 * The output has `embedding`, (dims) for each row. Otherwise as `runFile`.
 *
 * @param model a folder as the Hugging Face hub lays it out (tokenizer.json, config.json, modules.json, model.onnx), or the .onnx file in it
 * @returns as `runFile`
 * @throws TandemError as `runFile`, and TANDEM_PACKAGE_MISSING without the package `tokenizers`
 */
export function embed(model: string, options: EmbedOptions): Promise<Summary | null> {
  return runTask('embed', model, options);
}

/**
 * Gives each text or image of a file its best labels and their scores (`label`, `score`), by `id2label` and `problem_type` of the model's config.json.
 * An array (.npy, .npz) has the scores of all labels instead. Otherwise as `embed`.
 */
export function classify(model: string, options: ClassifyOptions): Promise<Summary | null> {
  return runTask('classify', model, options);
}

/** Gives each pair of a query and a document its `score`, by a cross-encoder with one label. Otherwise as `embed`. */
export function rerank(model: string, options: RerankOptions): Promise<Summary | null> {
  return runTask('rerank', model, options);
}

type Options = EmbedOptions & ClassifyOptions & RerankOptions;

async function runTask(name: TaskName, model: string, options: Options): Promise<Summary | null> {
  checkOptions(name, model, options);
  const { modelFile, prompt, long, dims, dtype, top, query, document, dedupe, ...rest } = options;
  const given = { column: rest.column, modelFile, prompt, long, dims, dtype, top, query, document, dedupe };
  const asked = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const task = { name, ...asked } as TaskRequest;
  return performFile({ ...requestOf(model, rest), task }, options, name);
}
