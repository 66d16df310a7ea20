/** A job that generates texts, from the request to the summary: opens the model, the rows and the output, or resumes an earlier run. */
import { createHash } from 'node:crypto';
import { basename, resolve } from 'node:path';
import type { OpenedDecoder } from '../../decoder/open-decoder.js';
import { TandemError } from '../../errors.js';
import { grouped } from '../../grouped-digits.js';
import { identify } from '../../model/file-identity.js';
import { readOnnxModel } from '../../model/onnx.js';
import { OutputClaim } from '../../output/claim.js';
import { errorsPath } from '../../output/errors-file.js';
import { type Fingerprint, fingerprintOf } from '../../output/fingerprint.js';
import { KeepingSink } from '../../output/keeping-sink.js';
import { describeHolder } from '../../output/lock.js';
import { openSink } from '../../output/open-sink.js';
import type { Sink } from '../../output/sink.js';
import type { Plan } from '../../plan/plan.js';
import { holdsRecords, STANDARD_STREAM } from '../../rows/format.js';
import { outputFormatOf } from '../../rows/format-of-path.js';
import { filesOf, inputsOf, textsOf } from '../../rows/input-files.js';
import { KeptRows } from '../../rows/kept-rows.js';
import type { SourceInput } from '../../rows/open-source.js';
import { openRecords, type RecordSource } from '../../rows/record-source.js';
import type { RowFailure } from '../../rows/source.js';
import { openaiRequest } from '../../tasks/generate/openai-request.js';
import { promptsOf } from '../../tasks/generate/row-prompts.js';

import type { Progress } from '../job.js';
import { keepingOf } from '../keeping.js';
import { checkErrors } from '../max-errors.js';
import type { Stop } from '../run-listener.js';
import { AnswerRows, RESULTS } from './answer-rows.js';
import type { GenerateRequest } from './generate-request.js';
import { generateRows } from './generate-rows.js';
import { type GenerateSummary, summariseGenerate } from './generate-summary.js';
import { formsOf, type GeneratorModel, openGeneratorModel } from './open-generator.js';
import { openGeneratorDecoder } from './open-generator-decoder.js';
import { prepareRow } from './prepare-row.js';

/** Rows of one write to a table whose parts could be distinguished in its bytes. */
const TABLE_BLOCK = 64;
const EMPTY = { rows: 0, failedRows: 0, nonFiniteRows: 0, microBatches: 0 };

/** All that has been opened so far and must be closed. */
export interface OpenedGenerate {
  claim?: OutputClaim;
  records?: RecordSource;
  kept?: KeptRows;
  sink?: Sink;
  decoder?: OpenedDecoder;
  /** Whether the output is complete. */
  ended?: boolean;
}

export interface GenerateListener {
  readonly onStep?: (text: string) => void;
  readonly onNotice?: (text: string) => void;
  readonly onProgress?: (progress: Progress & { readonly total: number | null }, tokens: number) => void;
  readonly onFailures?: (failures: readonly RowFailure[]) => void;
  /** `first`: the first row that failed in this run. */
  readonly onSummary?: (summary: GenerateSummary, first: RowFailure | null) => void;
}

export interface GenerateParty {
  readonly listener: GenerateListener;
  readonly stop: Stop;
}

/**
 * Runs or resumes the job; `null` if nothing is left to do. All that it opens is in `opened`; the caller must call `closeGenerate`.
 * Throws what the model, the rows, the stages and the output throw; the same command can then resume it.
 */
export async function performGenerate(
  request: GenerateRequest,
  opened: OpenedGenerate,
  party: GenerateParty,
): Promise<GenerateSummary | null> {
  const startedAt = performance.now();
  try {
    const ready = await openGenerate(request, opened, party);
    return ready && (await runOpened(request, { ...opened, ...ready } as ReadyGenerate, party, startedAt, opened));
  } catch (error) {
    await opened.sink?.abandon();
    await opened.claim?.release();
    throw error;
  }
}

export async function closeGenerate(opened: OpenedGenerate): Promise<void> {
  await opened.claim?.release();
  await opened.decoder?.close();
  await opened.records?.close();
  await opened.kept?.close();
}

interface ReadyGenerate extends OpenedGenerate {
  readonly model: GeneratorModel;
  readonly records: RecordSource;
  readonly sink: Sink;
  readonly decoder: OpenedDecoder;
}

async function openGenerate(
  request: GenerateRequest,
  opened: OpenedGenerate,
  { listener, stop }: GenerateParty,
): Promise<{ model: GeneratorModel } | null> {
  const format = outputFormatOf(request.output, request.outputFormat);
  if (!holdsRecords(format)) {
    throw new TandemError('TANDEM_OUTPUT_UNSUPPORTED', `${format.toUpperCase()} holds numbers, and answers are texts`, {
      remedy: 'name the output .jsonl, .csv or .parquet',
    });
  }
  const input = await inputsOf([], request.input, request.inputFormat);
  const keep = keepingOf(request, input);
  const model = await stop.race(openGeneratorModel(request));
  const graph = await stop.race(readOnnxModel(model.folder.modelFile));
  const toStream = request.output === STANDARD_STREAM;
  const fingerprint = toStream
    ? null
    : await fingerprintOf({ ...request, graph, input, rows: await identityOf(request, model) });
  if (!toStream) opened.claim = await claim(request, input, fingerprint, { listener, stop });
  if (opened.claim?.complete) return null;
  const earlier = opened.claim?.earlier ?? null;
  if (earlier?.commit) checkErrors(request.maxErrors, earlier.commit, false);
  const firstRow = earlier?.commit?.rows ?? 0;
  if (firstRow > 0) listener.onNotice?.(`resuming after ${grouped(firstRow)} rows of an earlier run`);
  for (const origin of model.origins) listener.onNotice?.(origin);
  opened.records = await openRecords(request.input, { format: request.inputFormat, firstRow });
  // A column that is not there is refused before the model is loaded.
  promptsOf({ ...request, ...request.generate, chat: model.template !== null }, opened.records.columns);
  const kept = await KeptRows.open(filesOf(input), request.inputFormat, keep, firstRow);
  if (kept) opened.kept = kept;
  if (!opened.claim) opened.sink = await openSink(request.output, { format: request.outputFormat, outputs: RESULTS });
  listener.onStep?.('loading the model');
  const loading = openGeneratorDecoder(model, request);
  loading.then((late) => (stop.signal.aborted ? late.close() : undefined)).catch(() => {});
  opened.decoder = await stop.race(loading);
  listener.onNotice?.(describeDecoder(opened.decoder));
  const plan = planOf(opened.decoder, graph.ops.length);
  const begin = fingerprint && {
    ...{ fingerprint, plan, total: opened.records.rows, request: keptRequest(request, input) },
  };
  opened.sink ??= await opened.claim!.open(begin);
  if (kept) opened.sink = new KeepingSink(opened.sink, kept);
  return { model };
}

async function runOpened(
  request: GenerateRequest,
  { model, decoder, records, sink, claim }: ReadyGenerate,
  { listener, stop }: GenerateParty,
  startedAt: number,
  opened: OpenedGenerate,
): Promise<GenerateSummary> {
  const loadSeconds = (performance.now() - startedAt) / 1000;
  const chat = model.template !== null;
  const select = promptsOf({ ...request, ...request.generate, chat }, records.columns);
  const { form } = request.generate;
  const { vocabulary, maxLength } = decoder;
  const forms = formsOf(model, vocabulary);
  const isTablePart = ['arrow', 'parquet'].includes(outputFormatOf(request.output, request.outputFormat));
  const block = isTablePart ? TABLE_BLOCK : 1;
  let first: RowFailure | null = null;
  const result = await generateRows({
    ...{ decoder, records, sink, maxErrors: request.maxErrors, signal: stop.signal },
    select: (record, batchLine) => (batchLine ? openaiRequest(record, chat) : select(record)),
    prepare: (row, index) => prepareRow(row, index, { model, vocabulary, maxLength, form, forms }),
    answers: new AnswerRows(model, { name: basename(model.folder.folder), block, hasIds: true }),
    before: claim?.earlier?.commit ?? EMPTY,
    onProgress: (progress, tokens) => listener.onProgress?.({ ...progress, total: records.rows }, tokens),
    onFailures: (failures) => {
      first ??= failures[0]!;
      listener.onFailures?.(failures);
    },
  });
  opened.ended = !result.stopped;
  if (result.illFormed > 0) {
    listener.onNotice?.(`${result.illFormed} prompts had half of a surrogate pair, which became U+FFFD`);
  }
  const shown = request.output !== STANDARD_STREAM && !result.stopped;
  const errorsFile = shown && result.failedRows > 0 ? errorsPath(request.output) : null;
  const summary = summariseGenerate(result, loadSeconds, { output: shown ? request.output : null, errorsFile });
  listener.onSummary?.(summary, first);
  return summary;
}

function claim(
  { output, outputFormat, force, forceNew }: GenerateRequest,
  input: SourceInput,
  fingerprint: Fingerprint | null,
  { listener, stop }: GenerateParty,
): Promise<OutputClaim> {
  return OutputClaim.take(output, {
    ...{ format: outputFormat, force, forceNew, outputs: RESULTS, inputs: filesOf(input), fingerprint },
    signal: stop.signal,
    onWait: (holder) =>
      listener.onNotice?.(`waiting for ${output}, which was being written by ${describeHolder(holder)}`),
  });
}

/** What the output's bytes depend on besides the model and the rows. */
async function identityOf(
  { generate, column }: GenerateRequest,
  { files, maxLength }: GeneratorModel,
): Promise<Record<string, string>> {
  const hash = createHash('sha256');
  for (const file of [...files].sort()) hash.update(`${basename(file)} ${await identify(file)}\n`);
  const { modelFile: _, chatTemplate: __, ...settings } = generate;
  return {
    task: JSON.stringify({ name: 'generate', column, ...settings }),
    'longest text': String(maxLength),
    "settings of the model's folder": hash.digest('hex').slice(0, 16),
  };
}

/** With absolute paths, so that any folder can resume the job. */
function keptRequest(request: GenerateRequest, input: SourceInput): GenerateRequest {
  // Flags for printing and for replacing files are of this run only.
  const { forceNew, quiet, json, ...kept } = request as GenerateRequest & { quiet?: boolean; json?: boolean };
  const { chatTemplate } = request.generate;
  const template = chatTemplate === undefined || chatTemplate === 'none' ? chatTemplate : resolve(chatTemplate);
  return {
    ...kept,
    model: resolve(request.model),
    input: textsOf(input),
    generate: { ...request.generate, ...(template !== undefined && { chatTemplate: template }) },
  };
}

/** `2 stages, 32 sequences at a time in 2 groups, 45 KiB of cache for each token`. */
function describeDecoder({ slots, groups, requirements }: OpenedDecoder): string {
  const perToken = requirements.reduce((sum, each) => sum + each.perToken, 0);
  const stages = requirements.length === 1 ? '1 stage' : `${requirements.length} stages`;
  const inGroups = groups > 1 ? ` in ${groups} groups` : '';
  return `${stages}, ${slots} sequences at a time${inGroups}, ${(perToken / 1024).toFixed(1)} KiB of cache for each token`;
}

/** What the journal records of how it was computed: answers do not depend on it. */
function planOf({ cuts, slots }: OpenedDecoder, ops: number): Plan {
  const bounds = [0, ...cuts, ops];
  const stage = { device: 'cpu', engine: 'onnxruntime', provider: 'cpu', threads: 1, workers: 1 };
  return {
    stages: bounds.slice(1).map((to, j) => ({
      ...stage,
      layers: { from: j, to: j },
      ops: { from: bounds[j]!, to },
      keepsState: true,
    })),
    ...{ microBatch: slots, depth: bounds.length - 1, isolation: 'thread', cutBy: 'weights' },
  };
}
