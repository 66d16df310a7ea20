/** The settings of a run: each from its flag, else from TANDEM_* in the environment, else from tandem.config.json in the working directory. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { z } from 'zod';
import { asTandemError, TandemError } from '../errors.js';
import { type MaxErrors, parseMaxErrors } from '../job/max-errors.js';
import { nearestName } from '../job/nearest-name.js';
import { MOST } from '../plan/count.js';
import type { StageOptions } from '../plan/plan.js';
import { ISOLATIONS } from '../pool/isolation.js';
import { parseCount, parseStages, type StageKey, stageOf } from './stage-flag.js';

export const CONFIG_FILE = 'tandem.config.json';

/** Named as in `openPipeline`. What is absent is left to the planner. */
export interface RunSettings {
  /** In order. */
  readonly stages?: readonly StageOptions[];
  /** Rows. */
  readonly microBatch?: number;
  readonly depth?: number;
  /** Seconds. */
  readonly deadline?: number;
  readonly isolation?: (typeof ISOLATIONS)[number];
  readonly allowFallback?: boolean;
  /** `auto` measures, `quick` counts FLOPs, anything else is the path of a plan. */
  readonly plan?: string;
  readonly maxErrors?: MaxErrors;
  /** Whether a run with failed rows ends as one without. */
  readonly allowErrors?: boolean;
}

type Setting = keyof RunSettings;

/** How each setting is written as text, on the command line and in the environment. `where` names the place for people. */
export const FROM_TEXT: { readonly [K in Setting]-?: (text: string, where: string) => NonNullable<RunSettings[K]> } = {
  stages: (text, where) => words(text).flatMap((stage) => parseStages(stage, `${where} ${stage}`)),
  microBatch: parseCount,
  depth: parseCount,
  deadline: parseCount,
  isolation: (text, where) => oneOf(ISOLATIONS, text, where),
  allowFallback: truth,
  plan: (text) => text,
  maxErrors: parseMaxErrors,
  allowErrors: truth,
};

export const ENVIRONMENT: { readonly [K in Setting]-?: string } = {
  stages: 'TANDEM_STAGES',
  microBatch: 'TANDEM_MICRO_BATCH',
  depth: 'TANDEM_DEPTH',
  deadline: 'TANDEM_DEADLINE',
  isolation: 'TANDEM_ISOLATION',
  allowFallback: 'TANDEM_ALLOW_FALLBACK',
  plan: 'TANDEM_PLAN',
  maxErrors: 'TANDEM_MAX_ERRORS',
  allowErrors: 'TANDEM_ALLOW_ERRORS',
};

const SETTINGS = Object.keys(ENVIRONMENT) as Setting[];

/** Throws TANDEM_USAGE for a variable or a file that is wrong, even where a flag wins over it. */
export function settingsOf(flags: RunSettings, env = process.env, file = CONFIG_FILE): RunSettings {
  const fromFile = readConfig(file);
  const fromEnvironment = readEnvironment(env);
  const chosen = SETTINGS.map((key) => [key, flags[key] ?? fromEnvironment[key] ?? fromFile[key]]);
  return Object.fromEntries(chosen.filter(([, value]) => value !== undefined)) as RunSettings;
}

function readEnvironment(env: NodeJS.ProcessEnv): RunSettings {
  const given = SETTINGS.filter((key) => env[ENVIRONMENT[key]]);
  return Object.fromEntries(given.map((key) => [key, FROM_TEXT[key](env[ENVIRONMENT[key]]!, ENVIRONMENT[key])]));
}

/** Made when there is a file: zod takes a tenth of a second to load, which no other start should wait for. */
function schemas() {
  const { z } = createRequire(import.meta.url)('zod') as typeof import('zod');
  const count = z.int().min(1).max(MOST);
  const stage = z.strictObject({
    device: z.string(),
    layers: z
      .union([z.string(), z.strictObject({ from: z.int().min(0), to: z.int().min(0) })], 'write "0..5"')
      .optional(),
    memory: z.union([z.string(), z.int().min(0)], 'write "6GiB", or a number of bytes').optional(),
    threads: count.optional(),
    workers: count.optional(),
    provider: z.string().optional(),
    turns: count.optional(),
    beside: z.boolean().optional(),
  });
  const config = z.strictObject({
    stages: z
      .array(z.union([z.string(), stage], 'write "cpu,threads=2", or { "device": "cpu", "threads": 2 }'))
      .optional(),
    microBatch: count.optional(),
    depth: count.optional(),
    deadline: count.optional(),
    isolation: z.enum(ISOLATIONS).optional(),
    allowFallback: z.boolean().optional(),
    plan: z.string().min(1).optional(),
    maxErrors: z.union([z.string(), z.int().min(0)], 'write 100, or "0.5%"').optional(),
    allowErrors: z.boolean().optional(),
  });
  return { stage, config };
}

type StageEntry = z.infer<ReturnType<typeof schemas>['stage']>;

function readConfig(file: string): RunSettings {
  const text = readIfThere(file);
  if (text === null) return {};
  const parsed = parseJson(text, file);
  const { stage, config } = schemas();
  const { data, error } = config.safeParse(parsed);
  if (error) throw unfit(file, innermost(error.issues[0]!), Object.keys(stage.shape));
  const { stages, maxErrors, ...rest } = data;
  return {
    ...rest,
    stages: stages?.flatMap((stage, j) => stageFrom(stage, `${file}: stages[${j}]`)),
    maxErrors: maxErrors === undefined ? undefined : parseMaxErrors(String(maxErrors), `${file}: maxErrors`),
  };
}

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new TandemError('TANDEM_USAGE', `${file} cannot be read: ${message}`, { remedy: 'mend or remove it', cause });
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TandemError('TANDEM_USAGE', `${file} is not JSON: ${(cause as Error).message}`, {
      remedy: 'it holds one object, for example { "stages": ["gpu", "cpu"], "microBatch": 64 }',
      cause,
    });
  }
}

/** Through the same readers as the flag, so that a stage means the same wherever it stands. */
function stageFrom(stage: string | StageEntry, where: string): StageOptions[] {
  if (typeof stage === 'string') return parseStages(stage, where);
  const { device, layers, beside, ...rest } = stage;
  const range = typeof layers === 'object' ? `${layers.from}..${layers.to}` : layers;
  const given = Object.entries({ ...rest, layers: range }).filter(([, value]) => value !== undefined);
  try {
    const own = stageOf(device, new Map(given.map(([key, value]) => [key as StageKey, String(value)])));
    return [{ ...own, ...(beside ? { beside } : {}) }];
  } catch (error) {
    const { message, remedy } = asTandemError(error);
    throw new TandemError('TANDEM_USAGE', `${where}: ${message}`, { remedy });
  }
}

type Issue = z.core.$ZodIssue;

/** Of the ways in which a value of several possible forms is wrong, the one that speaks of what lies within it. */
function innermost(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const within = issue.errors.flat().find(({ code, path }) => path.length > 0 || code === 'unrecognized_keys');
  return within ? innermost({ ...within, path: [...issue.path, ...within.path] }) : issue;
}

function unfit(file: string, issue: Issue, stageKeys: readonly string[]): TandemError {
  const place = issue.path.reduce<string>(
    (path, key) => (typeof key === 'number' ? `${path}[${key}]` : `${path}${path && '.'}${String(key)}`),
    '',
  );
  if (issue.code !== 'unrecognized_keys') {
    const problem = issue.message.replace(/^Invalid input: /, '');
    return new TandemError('TANDEM_USAGE', `${file}: ${place ? `${place}: ` : ''}${problem}`, {
      remedy: 'mend the file',
    });
  }
  const known = issue.path.length === 0 ? SETTINGS : stageKeys;
  const name = issue.keys[0]!;
  const nearest = nearestName(name, known);
  return new TandemError('TANDEM_USAGE', `${file}: ${place ? `${place} has` : 'there is'} no setting "${name}"`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}there are ${known.join(', ')}`,
  });
}

function truth(text: string, where: string): boolean {
  return oneOf(['true', 'false'], text, where) === 'true';
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function oneOf<T extends string>(known: readonly T[], text: string, where: string): T {
  const found = known.find((word) => word === text);
  if (found !== undefined) return found;
  const nearest = nearestName(text, known);
  throw new TandemError('TANDEM_USAGE', `${where} "${text}" is not one of ${known.join(', ')}`, {
    remedy: nearest === null ? `for example: ${known[0]}` : `did you mean ${nearest}?`,
  });
}
