/** Checks the options of the library's calls by the rules of the command line, before anything is started. */
import { createRequire } from 'node:module';
import type { z as Zod } from 'zod';
import { TandemError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { checkCount } from '../plan/count.js';
import { checkStage, handedStage, type StageOptions } from '../plan/stage-options.js';
import { ISOLATIONS } from '../pool/isolation.js';
import { FORMATS, OUTPUT_FORMATS } from '../rows/format.js';
import { ELEMENT_TYPES } from '../tasks/embed/element-type.js';
import { type Issue, innermost, placeOf, problemOf } from './schema-issue.js';

export type Door =
  | 'generate'
  | 'generateText'
  | 'embed'
  | 'classify'
  | 'rerank'
  | 'openPipeline'
  | 'runFile'
  | 'planModel'
  | 'inspectModel';

/** Options whose numbers are checked with messages of their own. */
interface Counted {
  readonly stages?: readonly StageOptions[];
  readonly microBatch?: number;
  readonly depth?: number;
  readonly deadline?: number;
}

/** Throws TANDEM_USAGE. */
export function checkOptions(door: Door, model: unknown, options: unknown): void {
  if (typeof model !== 'string' || model === '') {
    throw new TandemError(
      'TANDEM_USAGE',
      `${door}: the model is ${model === '' ? 'empty' : typeof model}, not a path`,
      {
        remedy: 'give the path of a model.json, a .onnx file, or a folder that holds one',
      },
    );
  }
  const schema = schemas()[door];
  const { error } = schema.safeParse(options);
  if (error) throw unfit(door, innermost(error.issues[0]!), Object.keys(schema.shape));
  checkCounts(options as Counted);
}

/** Made on use: zod takes a tenth of a second to load, which the command line does not need. */
function schemas() {
  const { z } = createRequire(import.meta.url)('zod') as typeof import('zod');
  const stage = handedStage(z);
  const callback = z.custom((value) => typeof value === 'function', 'expected a function').optional();
  const path = z.string().min(1);
  const given = {
    engine: z.union([path, z.custom((value) => value instanceof URL, 'give a URL')]).optional(),
    set: z.record(z.string(), z.unknown()).optional(),
    rowsAxis: z.record(z.string(), z.int().min(0)).optional(),
  };
  const planned = {
    ...given,
    stages: z.array(stage).optional(),
    microBatch: z.number().optional(),
    depth: z.number().optional(),
    isolation: z.enum(ISOLATIONS).optional(),
    allowFallback: z.boolean().optional(),
    deadline: z.number().optional(),
    signal: z.custom((value) => value instanceof AbortSignal, 'expected an AbortSignal').optional(),
  };
  const rows = {
    image: path.optional(),
    column: path.optional(),
    window: path.optional(),
    carry: z.record(z.string(), path).optional(),
  };
  const run = { ...planned, plan: path.optional(), allowNonFinite: z.boolean().optional() };
  const input = z.union([path, z.array(path).min(1), z.record(z.string(), path)]);
  const format = z.enum(FORMATS).optional();
  const listeners = { onProgress: callback, onNotice: callback };
  const file = {
    ...run,
    ...listeners,
    ...rows,
    input,
    output: path,
    keep: z.array(z.string()).optional(),
    maxErrors: z.union([z.int().min(0), z.string()]).optional(),
    inputFormat: format,
    outputFormat: z.enum(OUTPUT_FORMATS).optional(),
    force: z.boolean().optional(),
    forceNew: z.boolean().optional(),
    report: path.optional(),
    trace: path.optional(),
    record: path.optional(),
    metricsPort: z.int().min(0).max(65_535).optional(),
    metricsHost: path.optional(),
  };
  const ofTask = { modelFile: path.optional(), long: path.optional(), dedupe: z.boolean().optional() };
  const prompt = z.string().optional();
  const count = z.int().min(1).optional();
  return {
    inspectModel: z.strictObject(given),
    openPipeline: z.strictObject(run),
    planModel: z.strictObject({
      ...{ ...planned, ...listeners, ...rows },
      ...{ input: input.optional(), inputFormat: format, output: path.optional() },
    }),
    runFile: z.strictObject(file),
    ...generateSchemas(z, { ...file, ...listeners, ...planned }),
    embed: z.strictObject({ ...file, ...ofTask, prompt, dims: count, dtype: z.enum(ELEMENT_TYPES).optional() }),
    classify: z.strictObject({ ...file, ...ofTask, prompt, top: count }),
    rerank: z.strictObject({ ...file, ...ofTask, query: path.optional(), document: path.optional() }),
  };
}

/** What the numbers may be is checked with the settings that the model's files give. */
function generateSchemas(z: typeof Zod, { signal, onNotice, stages, ...file }: Readonly<Record<string, Zod.ZodType>>) {
  const [count, number, path] = [z.int().min(1).optional(), z.number().optional(), z.string().min(1).optional()];
  const text = {
    ...{ modelFile: path, chatTemplate: path, system: z.string().optional(), maxLength: count, maxTokens: count },
    ...{ temperature: number, topP: number, topK: number, minP: number, n: count, seed: number },
    ...{ repetitionPenalty: number, presencePenalty: number, frequencyPenalty: number },
    ...{ logitBias: z.record(z.string(), z.number()).optional(), ignoreEos: z.boolean().optional() },
    ...{ jsonSchema: z.record(z.string(), z.unknown()).optional(), regex: path },
    ...{ stop: z.array(z.string()).optional(), stopIds: z.array(z.int().min(0)).optional() },
    ...{ signal: signal!, onNotice: onNotice!, stages: stages! },
  };
  const names = ['input', 'output', 'column', 'keep', 'maxErrors', 'inputFormat', 'outputFormat', 'force', 'forceNew'];
  const ofFile = Object.fromEntries([...names, 'onProgress'].map((name) => [name, file[name]!]));
  return {
    generate: z.strictObject({ ...text, ...ofFile, slots: count }),
    generateText: z.strictObject({ ...text, onText: file.onProgress! }),
  };
}

function unfit(door: Door, issue: Issue, known: readonly string[]): TandemError {
  const place = placeOf(issue);
  if (issue.code !== 'unrecognized_keys') {
    return new TandemError('TANDEM_USAGE', `${door}: ${place || 'the options'}: ${problemOf(issue)}`, {
      remedy: 'leave it out to have it chosen, or see the types of the options',
    });
  }
  const name = issue.keys[0]!;
  const nearest = place === '' ? nearestName(name, known) : null;
  return new TandemError('TANDEM_USAGE', `${door}: ${place || 'the options'} have no "${name}"`, {
    remedy: nearest === null ? 'see the types of the options' : `did you mean ${nearest}?`,
  });
}

function checkCounts({ stages = [], microBatch, depth, deadline }: Counted): void {
  for (const [j, stage] of stages.entries()) checkStage(stage, `stages[${j}]`);
  check(microBatch, 'microBatch');
  check(depth, 'depth');
  if (deadline === undefined || (typeof deadline === 'number' && deadline > 0)) return;
  throw new TandemError('TANDEM_USAGE', `deadline is ${deadline}, not a number of seconds`, {
    remedy: 'give seconds, for example 600',
  });
}

function check(value: unknown, what: string): void {
  if (value === undefined) return;
  checkCount(value, `${what} is ${String(value)},`, { remedy: 'leave it out to have it chosen' });
}
