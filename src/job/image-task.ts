/** The rows of a task by name whose rows are images: decoded by the settings of the model's folder, and the scores of its labels. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { TandemError } from '../errors.js';
import { identify } from '../model/file-identity.js';
import type { ModelGraph } from '../model/graph.js';
import { holdsArrays, type OutputFormat } from '../rows/format.js';
import { formatOf } from '../rows/format-of-path.js';
import { filesOf, inputsOf } from '../rows/input-files.js';
import type { Finish } from '../rows/ragged-source.js';
import type { Source } from '../rows/source.js';
import { namedLabels } from '../tasks/classify/named-labels.js';
import { bestFinish, checkLabels, labelsIn, logitsOutput, scoresFinish } from '../tasks/classify/score-finish.js';
import { findModelFolder } from '../tasks/model-folder/find-model-folder.js';
import { type ModelSettings, readModelSettings, type ScoreActivation } from '../tasks/model-folder/model-settings.js';
import { SettingsFiles } from '../tasks/model-folder/settings-file.js';
import type { TaskRequest } from '../tasks/task-request.js';
import type { Tensor } from '../tensor.js';
import type { JobRows, RowsRequest } from './job-rows.js';
import { findRows } from './open-rows.js';

export interface ImageTaskRequest extends RowsRequest {
  readonly model: string;
  readonly task: TaskRequest;
  readonly outputFormat: OutputFormat;
}

/** Settings of texts. */
const OF_TEXTS = ['prompt', 'long', 'query', 'document', 'dims', 'dtype', 'dedupe'] as const;

/** Whether the rows of a task are images: files of them, or a table with `--image`. Throws as `inputsOf`. */
export async function hasImages({ input, inputFormat, image }: RowsRequest): Promise<boolean> {
  if (image !== undefined) return true;
  const [first] = filesOf(await inputsOf([], input, inputFormat));
  return formatOf(first!, inputFormat) === 'images';
}

interface FolderSettings extends ModelSettings {
  /** That were read. */
  readonly files: readonly string[];
}

/** The model of a task of images, whose graph has not been read. */
export class ImageTask {
  /** Absolute path of the model's file. */
  readonly file: string;
  readonly #request: ImageTaskRequest;
  readonly #settings: FolderSettings;

  private constructor(request: ImageTaskRequest, file: string, settings: FolderSettings) {
    this.#request = request;
    this.file = file;
    this.#settings = settings;
  }

  /** Throws TANDEM_USAGE, TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID. */
  static async open(request: ImageTaskRequest): Promise<ImageTask> {
    const { task } = request;
    if (task.name !== 'classify') {
      throw new TandemError('TANDEM_USAGE', `tandem ${task.name} takes texts, and the rows are images`, {
        remedy: `use tandem classify for labels, or tandem run for the model's own outputs`,
      });
    }
    const given = OF_TEXTS.find((name) => task[name] !== undefined);
    if (given !== undefined) {
      throw new TandemError('TANDEM_USAGE', `--${given} is for texts, and the rows are images`, {
        remedy: `leave --${given} out`,
      });
    }
    const { modelFile, folder } = await findModelFolder(request.model, task.modelFile);
    const files = new SettingsFiles(folder);
    const settings = await readModelSettings(files, '');
    return new ImageTask(request, modelFile, { ...settings, files: files.read });
  }

  /** Throws as `findRows`, and TANDEM_MODEL_UNSUPPORTED where no output is known for scores. */
  async rows(graph: ModelGraph): Promise<JobRows> {
    const { task, outputFormat } = this.#request;
    const output = logitsOutput(graph, 'use tandem run, which writes the outputs as they are');
    const { labels, files } = this.#settings;
    // Without a configuration it is unknown whether its last layer makes probabilities already.
    const isKnown = files.length > 0;
    const activation = isKnown ? this.#settings.activation : 'none';
    const origin = isKnown ? this.#settings.activationOrigin : 'as the model gives them: there is no config.json';
    if (holdsArrays(outputFormat) && task.top !== undefined) {
      throw new TandemError(
        'TANDEM_USAGE',
        `--top chooses labels, and ${outputFormat.toUpperCase()} has the scores of all`,
        {
          remedy: 'leave --top out, or name the output .csv or .jsonl',
        },
      );
    }
    const finish = finishOf(output, activation, labels, holdsArrays(outputFormat) ? null : (task.top ?? 1));
    const check: Source['check'] = (outputs) => {
      const scores = labelsIn(outputs.get(output)!, output);
      if (!holdsArrays(outputFormat)) checkLabels(labels, scores);
    };
    const rows = await findRows(graph, { ...this.#request, column: task.column });
    return {
      ...rows,
      identity: { ...rows.identity, task: JSON.stringify(task), "settings of the model's folder": await hashOf(files) },
      origins: [
        `model: ${this.file}`,
        ...rows.origins,
        `scores: ${activation} (${origin})`,
        labels === null
          ? 'labels: LABEL_0, LABEL_1 and so on: there is no id2label'
          : `labels: ${labels.length} (id2label in config.json)`,
      ],
      outputs: holdsArrays(outputFormat) ? ['score'] : ['label', 'score'],
      open: async (firstRow, lengths, range) =>
        Object.assign((await rows.open(firstRow, lengths, range)) as Source, { finish, check }),
    };
  }
}

/** `top`: how many labels a row is given; `null`: the scores of all. */
function finishOf(
  output: string,
  activation: ScoreActivation,
  labels: readonly string[] | null,
  top: number | null,
): NonNullable<Source['finish']> {
  // These look at how many rows there are, and at nothing else of them.
  const apply = (finish: Finish, outputs: ReadonlyMap<string, Tensor>, rows: number) =>
    finish(outputs, Array(rows)) as ReadonlyMap<string, Tensor>;
  if (top === null) {
    const all = scoresFinish(output, activation);
    return (outputs, rows) => ({ outputs: apply(all, outputs, rows) });
  }
  const best = bestFinish(output, activation, top);
  return (outputs, rows) => {
    const scores = outputs.get(output)!.shape[1] ?? 1;
    if (rows > 0) checkLabels(labels, scores);
    return namedLabels(apply(best, outputs, rows), labels, top === 1);
  };
}

async function hashOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [...files].sort()) hash.update(`${basename(file)} ${await identify(file)}\n`);
  return hash.digest('hex').slice(0, 16);
}
