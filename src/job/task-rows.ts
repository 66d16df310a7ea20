/** The rows of a task by name: its model's folder, its records, and what is made of its results. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { grouped } from '../grouped-digits.js';
import { readCores } from '../machine/machine.js';
import { identify } from '../model/file-identity.js';
import type { ModelGraph } from '../model/graph.js';
import { estimateLines } from '../rows/estimate-lines.js';
import { holdsArrays, type OutputFormat } from '../rows/format.js';
import { inputsOf } from '../rows/input-files.js';
import type { SourceInput } from '../rows/open-source.js';
import { openRecords } from '../rows/record-source.js';
import type { RowRange } from '../rows/row-range.js';
import { type ModelFolder, readModelFolder } from '../tasks/model-folder/model-folder.js';
import { HALF_CHARACTERS, TEXTS_CUT, TEXTS_SPLIT, TOKENS_CUT } from '../tasks/task.js';
import type { TaskRequest } from '../tasks/task-request.js';
import { TaskSource } from '../tasks/task-source.js';
import { givesParts, textTask } from '../tasks/text-task.js';
import { boundTokenizerThreads } from '../tasks/texts/native-tokenizer.js';
import type { JobRows } from './job-rows.js';
import { type Windowed, windowed } from './windows/load-windows.js';

/** Cores of which one is enough to tokenise for the others. */
const CORES_A_THREAD = 16;

export interface TaskRowsRequest {
  readonly model: string;
  readonly task: TaskRequest;
  /** Paths, globs, folders, or `-`. */
  readonly input: readonly string[];
  readonly inputFormat?: string | undefined;
  readonly outputFormat: OutputFormat;
}

/** The model of a task, whose graph has not been read. */
export class TaskModel {
  readonly #request: TaskRowsRequest;
  readonly #folder: ModelFolder;

  private constructor(request: TaskRowsRequest, folder: ModelFolder) {
    this.#request = request;
    this.#folder = folder;
  }

  /** Throws TANDEM_MODEL_MISSING, TANDEM_MODEL_INVALID, TANDEM_MODEL_UNSUPPORTED. */
  static async open(request: TaskRowsRequest): Promise<TaskModel> {
    return new TaskModel(request, await readModelFolder(request.model, request.task.modelFile));
  }

  /** Absolute path of the model's file. */
  get file(): string {
    return this.#folder.modelFile;
  }

  /** Throws TANDEM_USAGE, TANDEM_INPUT_MISSING, TANDEM_MODEL_UNSUPPORTED, TANDEM_ENGINE_MISSING. */
  async rows(graph: ModelGraph): Promise<JobRows> {
    boundTokenizerThreads();
    const request = this.#request;
    const { origins } = await textTask({ ...partsOf(request, this.#folder, graph), columns: null });
    const input = await inputsOf([], request.input, request.inputFormat);
    return new TaskRows(request, this.#folder, graph, {
      ...{ input, identity: await identityOf(request, this.#folder) },
      origins: [`model: ${this.#folder.modelFile}`, ...origins],
    });
  }
}

/** What is asked for, held against the model; no row has been looked at. */
class TaskRows implements JobRows {
  readonly input: SourceInput;
  readonly identity: Readonly<Record<string, string>>;
  readonly origins: readonly string[];
  readonly #request: TaskRowsRequest;
  readonly #folder: ModelFolder;
  readonly #graph: ModelGraph;

  constructor(
    request: TaskRowsRequest,
    folder: ModelFolder,
    graph: ModelGraph,
    found: Pick<JobRows, 'input' | 'identity' | 'origins'>,
  ) {
    this.#request = request;
    this.#folder = folder;
    this.#graph = graph;
    this.input = found.input;
    this.identity = found.identity;
    this.origins = found.origins;
  }

  get outputs(): readonly string[] {
    const { task, outputFormat } = this.#request;
    if (task.name === 'embed') return ['embedding'];
    return task.name === 'classify' && !holdsArrays(outputFormat) ? ['label', 'score'] : ['score'];
  }

  get ragged(): string | undefined {
    return givesParts(this.#request.task)
      ? 'one row for each part of a text, and texts differ in how many they have'
      : undefined;
  }

  /** Throws as `openRecords`, and TANDEM_USAGE for a column that a table does not have. */
  async open(firstRow: number, lengths: boolean | null, range?: RowRange): Promise<Windowed> {
    const { input, inputFormat } = this.#request;
    const records = await openRecords(input, { format: inputFormat, firstRow, range });
    let source: TaskSource | null = null;
    try {
      const { columns } = records;
      const task = await textTask({ ...partsOf(this.#request, this.#folder, this.#graph), columns });
      const threads = Math.max(1, Math.floor(readCores() / CORES_A_THREAD));
      source = new TaskSource({ records, task, threads, firstRow, dedupe: this.#request.task.dedupe });
      const notes = () => notesOf(source!.counts, task.limit, givesParts(this.#request.task));
      const { finish, settle, check } = task;
      const rows = { ragged: source, finish, settle, check };
      const survey = lengths === null ? await source.survey() : null;
      return { ...windowed(rows, survey), rowsAbout: estimateLines(input), notes };
    } catch (error) {
      await (source ?? records).close();
      throw error;
    }
  }
}

/** What a person should know of the rows once they have been run. */
function notesOf(counts: ReadonlyMap<string, number>, limit: number | null, parts: boolean): string[] {
  const texts = (name: string) => {
    const count = counts.get(name) ?? 0;
    return count === 1 ? '1 text' : `${grouped(count)} texts`;
  };
  const notes: string[] = [];
  if (counts.has(TEXTS_CUT)) {
    const lost = grouped(counts.get(TOKENS_CUT) ?? 0);
    notes.push(`${texts(TEXTS_CUT)} had more than ${limit} tokens: ${lost} tokens were cut off (see --long)`);
  }
  if (counts.has(TEXTS_SPLIT))
    notes.push(`${texts(TEXTS_SPLIT)} were split into parts${parts ? '' : ', whose results are averaged'}`);
  if (counts.has(HALF_CHARACTERS)) {
    notes.push(`${texts(HALF_CHARACTERS)} had half of a surrogate pair, which became U+FFFD`);
  }
  return notes;
}

/** What the output's bytes depend on besides the model and the rows. */
async function identityOf({ task }: TaskRowsRequest, { files }: ModelFolder): Promise<Record<string, string>> {
  const hash = createHash('sha256');
  for (const file of [...files].sort()) hash.update(`${basename(file)} ${await identify(file)}\n`);
  return { task: JSON.stringify(task), "settings of the model's folder": hash.digest('hex').slice(0, 16) };
}

function partsOf({ task, outputFormat }: TaskRowsRequest, folder: ModelFolder, graph: ModelGraph) {
  return { request: task, folder, graph, holdsTexts: !holdsArrays(outputFormat) };
}
