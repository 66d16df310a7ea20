/** Makes a task of texts (embed, classify, rerank) from the request and the settings of the model's folder. */
import { basename } from 'node:path';
import { TandemError } from '../errors.js';
import { fedInputs } from '../model/fed-inputs.js';
import type { ModelGraph } from '../model/graph.js';
import { nearestName } from '../nearest-name.js';
import { isBatchLine } from '../rows/json/batch-line.js';
import type { Column, RowRecord } from '../rows/record-source.js';
import type { TensorSpec } from '../tensor.js';
import { checkLabels, labelsIn, logitsOutput, notOne, scoresFinish } from './classify/score-finish.js';
import { settleAll, settleBest, settlePairs } from './classify/settle-scores.js';
import { ELEMENT_TYPES, type ElementType } from './embed/element-type.js';
import { embeddingOutput, embedFinish } from './embed/embed-finish.js';
import { settleEmbeddings } from './embed/settle-embeddings.js';
import type { ModelFolder } from './model-folder/model-folder.js';
import type { Task } from './task.js';
import type { TaskName, TaskRequest } from './task-request.js';
import { classifyRequest, embeddingRequest, pairsRequest } from './texts/batch-request.js';
import { type LongTexts, parseLong } from './texts/long-texts.js';
import { promptTokens } from './texts/prompt-tokens.js';
import { selectText } from './texts/select-text.js';
import type { SelectedText, TextOptions } from './texts/text-preparer.js';
import { fixedLengthOf, paddingOf, type TokenInput, tokenInputsOf } from './texts/token-inputs.js';

/** Texts that one call of a worker tokenises. */
const ROWS_AT_ONCE = 32;
/** Models whose positions begin behind the pad's id. */
const OFFSET_POSITIONS = new Set(['roberta', 'xlm-roberta', 'xlm-roberta-xl', 'camembert', 'data2vec-text', 'mpnet']);

export interface TextTaskParts {
  readonly request: TaskRequest;
  readonly folder: ModelFolder;
  readonly graph: ModelGraph;
  /** Of the rows; `null` where each has columns of its own. */
  readonly columns: readonly Column[] | null;
  /** Whether the output can hold texts; else labels are given by their scores, all of them. */
  readonly holdsTexts: boolean;
}

/** Throws TANDEM_USAGE, TANDEM_MODEL_UNSUPPORTED, TANDEM_ENGINE_MISSING. */
export async function textTask(parts: TextTaskParts): Promise<Task> {
  const { request, folder, graph, columns } = parts;
  const fed = fedInputs(graph);
  const inputs = tokenInputsOf(fed);
  const prompt = promptOf(request, folder);
  const limit = limitOf(folder, inputs);
  const options: TextOptions = {
    tokenizer: folder.tokenizer.path,
    inputs,
    limit,
    long: longOf(request, limit),
    prompt: prompt.text,
    padId: folder.padId,
    firstPosition: OFFSET_POSITIONS.has(folder.settings.kind) ? folder.padId + 1 : 0,
    vocabulary: null,
  };
  const { finish, settle, check, origins, width } = await finishOf(parts, inputs, prompt.text);
  const select = selectText(columnsOf(request), columns);
  return {
    name: request.name,
    select: (record) => (isBatchLine(record) ? batchTexts(request.name, record, width) : select(record)),
    preparer: { name: 'texts', options, rowsAtOnce: ROWS_AT_ONCE },
    specs: rowSpecs(fed),
    padding: paddingOf(inputs, folder.padId),
    limit,
    ...{ finish, settle, check },
    origins: [
      `tokenizer: ${folder.tokenizer.path}`,
      `length: ${limit === null ? 'not limited' : `at most ${limit} tokens`} (${folder.longest.origin})`,
      ...(prompt.text === '' ? [] : [`prompt: ${JSON.stringify(prompt.text)} (${prompt.origin})`]),
      ...origins,
    ],
  };
}

function batchTexts(task: TaskName, record: RowRecord, width: number | null): SelectedText {
  if (task === 'embed') return embeddingRequest(record, width);
  return task === 'classify' ? classifyRequest(record) : { texts: pairsRequest(record).pairs };
}

function rowSpecs(fed: readonly TensorSpec[]): TensorSpec[] {
  return fed.map(({ name, dtype, shape }) => ({ name, dtype, shape: shape.slice(1) }));
}

/** The least of what the model's files and its inputs allow. */
function limitOf({ longest }: ModelFolder, inputs: readonly TokenInput[]): number | null {
  const fixed = fixedLengthOf(inputs);
  if (fixed === null || longest.tokens === null) return fixed ?? longest.tokens;
  return Math.min(fixed, longest.tokens);
}

function longOf({ name, long = 'cut' }: TaskRequest, limit: number | null): LongTexts {
  const parsed = parseLong(long);
  const needsLimit = parsed.kind === 'error' || (parsed.kind === 'split' && parsed.tokens === null);
  if (needsLimit && limit === null) {
    throw new TandemError('TANDEM_USAGE', `--long ${long}: no file of the model limits its texts`, {
      remedy: 'give --long split:256, or write max_seq_length into sentence_bert_config.json',
    });
  }
  if (parsed.kind !== 'split') return parsed;
  if (parsed.parts && name !== 'embed') {
    throw new TandemError('TANDEM_USAGE', `--long ${long}: parts are for embed`, { remedy: 'leave ",parts" out' });
  }
  if (name === 'rerank') {
    throw new TandemError('TANDEM_USAGE', `--long ${long}: a pair cannot be split`, { remedy: 'use cut or error' });
  }
  if (parsed.tokens !== null && limit !== null && parsed.tokens > limit) {
    throw new TandemError('TANDEM_USAGE', `--long ${long}: the model takes ${limit} tokens`, {
      remedy: `give at most split:${limit}`,
    });
  }
  return parsed;
}

/** Whether each part of a text has a result of its own. Throws TANDEM_USAGE. */
export function givesParts({ long = 'cut' }: TaskRequest): boolean {
  const parsed = parseLong(long);
  return parsed.kind === 'split' && parsed.parts;
}

function columnsOf({ name, column, query, document }: TaskRequest) {
  if (name !== 'rerank') {
    const given = query !== undefined ? '--query' : document !== undefined ? '--document' : null;
    if (given === null) return { column };
    throw new TandemError('TANDEM_USAGE', `${given} is for rerank, where a row is a pair`, { remedy: 'use --column' });
  }
  if (column !== undefined) {
    throw new TandemError('TANDEM_USAGE', '--column names one text, and rerank takes pairs', {
      remedy: 'give --query COLUMN --document COLUMN',
    });
  }
  return { pair: { query: query ?? 'query', document: document ?? 'document' } };
}

/** A name of the model's prompts, or a text of the user's own. */
function promptOf({ prompt, name }: TaskRequest, { prompts }: ModelFolder): { text: string; origin: string } {
  const origin = 'config_sentence_transformers.json';
  if (prompt === undefined)
    return { text: name === 'embed' ? (prompts.default ?? '') : '', origin: `the default in ${origin}` };
  if (Object.hasOwn(prompts.byName, prompt)) return { text: prompts.byName[prompt]!, origin: `${prompt} in ${origin}` };
  return { text: prompt, origin: '--prompt' };
}

interface Made extends Pick<Task, 'finish' | 'settle' | 'origins' | 'check'> {
  /** Numbers of an embedding, if known. */
  readonly width: number | null;
}

async function finishOf(parts: TextTaskParts, inputs: readonly TokenInput[], prompt: string): Promise<Made> {
  const { request, folder, graph, holdsTexts } = parts;
  if (request.name === 'embed') return embed(parts, inputs, prompt);
  refuse(request, ['dims', 'dtype'], `${request.name} gives scores`);
  const { settings } = folder;
  const output = logitsOutput(graph);
  const labels = widthOf(graph, output);
  const origins = [`scores: ${settings.activation} (${settings.activationOrigin})`];
  const finish = scoresFinish(output, settings.activation);
  const lines = { model: basename(folder.folder), mask: maskOf(inputs), names: settings.labels };
  if (request.name === 'rerank') {
    refuse(request, ['top'], 'rerank gives one score for each pair');
    if (labels !== null && labels !== 1) throw notOne(labels);
    const check: Task['check'] = (outputs) => {
      const scores = labelsIn(outputs.get(output)!, output);
      if (scores !== 1) throw notOne(scores);
    };
    return { ...{ finish, check, origins }, settle: settlePairs(lines), width: null };
  }
  if (!holdsTexts) {
    refuse(request, ['top'], 'this output holds numbers alone, so it has the scores of all labels');
    return { finish, settle: settleAll(lines), origins, width: null };
  }
  const count = labels ?? settings.labels?.length ?? Number.MAX_SAFE_INTEGER;
  const top = request.top ?? (settings.activation === 'sigmoid' && count > 1 ? count : 1);
  const check: Task['check'] = (found) => checkLabels(settings.labels, labelsIn(found.get(output)!, output));
  return { ...{ finish, check, origins }, settle: settleBest(top, lines), width: null };
}

async function embed(
  { request, folder, graph }: TextTaskParts,
  inputs: readonly TokenInput[],
  prompt: string,
): Promise<Made> {
  refuse(request, ['top'], 'embed gives no labels');
  const { modules, modulesOrigin } = folder;
  const output = embeddingOutput(graph);
  const width = widthOf(graph, output.name);
  const dims = request.dims ?? null;
  const changes = modules.some(
    (module) => module.kind === 'dense' || (module.kind === 'pooling' && module.pooling.modes.length > 1),
  );
  const known = output.pooled || !changes ? width : null;
  if (dims !== null && known !== null && dims > known) {
    throw new TandemError('TANDEM_USAGE', `--dims ${dims}: the embeddings have ${known} numbers`, {
      remedy: `give at most ${known}`,
    });
  }
  const leavesOut = modules.some((module) => module.kind === 'pooling' && !module.pooling.includePrompt);
  const mask = maskOf(inputs);
  const skipped = leavesOut && prompt !== '' ? await promptTokens(folder.tokenizer.path, prompt) : 0;
  const steps = modules.map((module) =>
    module.kind === 'pooling' ? `${module.pooling.modes.join('+')} pooling` : module.kind,
  );
  const how = output.pooled ? 'pooled in the ONNX file' : `${steps.join(', ')} (${modulesOrigin})`;
  const type = elementTypeOf(request.dtype);
  return {
    finish: embedFinish(output, { modules, mask, promptTokens: skipped }),
    settle: settleEmbeddings({ modules, mask, dims, type, model: basename(folder.folder), parts: givesParts(request) }),
    origins: [`embedding: ${output.name}, ${how}`],
    width: known,
  };
}

/** The place of the attention mask among the fed inputs; `null` without one. */
function maskOf(inputs: readonly TokenInput[]): number | null {
  const at = inputs.findIndex(({ kind }) => kind === 'mask');
  return at < 0 ? null : at;
}

/** The last dimension of an output, as far as the file says. */
function widthOf({ outputs, outputNames, dimensions }: ModelGraph, publicName: string): number | null {
  const tensor = outputs.find((name) => (outputNames?.get(name) ?? name) === publicName)!;
  const last = dimensions?.get(tensor)?.at(-1);
  return typeof last === 'number' ? last : null;
}

function elementTypeOf(dtype = 'f32'): ElementType {
  if ((ELEMENT_TYPES as readonly string[]).includes(dtype)) return dtype as ElementType;
  const nearest = nearestName(dtype, ELEMENT_TYPES);
  throw new TandemError('TANDEM_USAGE', `--dtype "${dtype}" is not known`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}give ${ELEMENT_TYPES.join(', ')}`,
  });
}

function refuse(request: TaskRequest, names: readonly (keyof TaskRequest)[], why: string): void {
  const given = names.find((name) => request[name] !== undefined);
  if (given === undefined) return;
  throw new TandemError('TANDEM_USAGE', `--${given} says nothing here: ${why}`, { remedy: `leave --${given} out` });
}
