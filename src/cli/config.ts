/** The settings of a run: each from its flag, else from TANDEM_* in the environment, else from tandem.config.json in the working directory. */
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { z } from 'zod';
import { QUEUE_VARIABLES } from '../cluster/queue-address.js';
import { asTandemError, TandemError } from '../errors.js';
import { parseMaxErrors } from '../job/max-errors.js';
import type { RunSettings } from '../job/run-request.js';
import { type Issue, innermost, placeOf, problemOf } from '../job/schema-issue.js';
import { nearestName } from '../nearest-name.js';
import { MOST, parseCount } from '../plan/count.js';
import { STAGE_KEY_NAMES, type StageOptions, stageEntry } from '../plan/stage-options.js';
import { ISOLATIONS } from '../pool/isolation.js';
import { parseWindow } from '../rows/audio/window-flag.js';
import { parseImage } from '../rows/images/image-flag.js';
import { parseKeep } from '../rows/kept-columns.js';
import { readTextFile } from '../text-file.js';
import { parseStages, stageOf } from './stage-flag.js';
import { flagSynonym, stageKeySynonym } from './synonyms.js';

export const CONFIG_FILE = 'tandem.config.json';

type Setting = keyof RunSettings;

/** How each setting is written as text, on the command line and in the environment. `where` names the flag or variable in messages. */
export const FROM_TEXT: { readonly [K in Setting]-?: (text: string, where: string) => NonNullable<RunSettings[K]> } = {
  stages: (text, where) => stageWords(text).flatMap((stage) => parseStages(stage, `${where} ${stage}`)),
  microBatch: parseCount,
  depth: parseCount,
  deadline: parseCount,
  isolation: (text, where) => oneOf(ISOLATIONS, text, where),
  allowFallback: truth,
  allowNonFinite: truth,
  plan: (text) => text,
  maxErrors: parseMaxErrors,
  allowErrors: truth,
  set: (text, where) => pairs(words(text), where, (value) => value),
  rowsAxis: (text, where) => pairs(words(text), where, axisFrom),
  image: (text, where) => {
    parseImage(text, where);
    return text;
  },
  column: (text) => text,
  window: (text, where) => {
    parseWindow(text, where);
    return text;
  },
  carry: (text, where) => pairs(words(text), where, (value) => value),
  keep: parseKeep,
};

export const ENVIRONMENT: { readonly [K in Setting]-?: string } = {
  stages: 'TANDEM_STAGES',
  microBatch: 'TANDEM_MICRO_BATCH',
  depth: 'TANDEM_DEPTH',
  deadline: 'TANDEM_DEADLINE',
  isolation: 'TANDEM_ISOLATION',
  allowFallback: 'TANDEM_ALLOW_FALLBACK',
  allowNonFinite: 'TANDEM_ALLOW_NON_FINITE',
  plan: 'TANDEM_PLAN',
  maxErrors: 'TANDEM_MAX_ERRORS',
  allowErrors: 'TANDEM_ALLOW_ERRORS',
  set: 'TANDEM_SET',
  rowsAxis: 'TANDEM_ROWS_AXIS',
  image: 'TANDEM_IMAGE',
  column: 'TANDEM_COLUMN',
  window: 'TANDEM_WINDOW',
  carry: 'TANDEM_CARRY',
  keep: 'TANDEM_KEEP',
};

const SETTINGS = Object.keys(ENVIRONMENT) as Setting[];

/** Throws TANDEM_USAGE for a wrong variable or file, even if a flag overrides it. */
export function settingsOf(flags: RunSettings, env = process.env, file = CONFIG_FILE): RunSettings {
  const fromFile = readConfig(file);
  const fromEnvironment = readEnvironment(env);
  const chosen = SETTINGS.map((key) => [key, flags[key] ?? fromEnvironment[key] ?? fromFile[key]]);
  return Object.fromEntries(chosen.filter(([, value]) => value !== undefined)) as RunSettings;
}

/** Variables that are read elsewhere. */
const OTHER_VARIABLES = ['TANDEM_DEBUG', 'TANDEM_ENGINE_MODULE', ...QUEUE_VARIABLES];
const PREFIX = 'TANDEM_';

/** An unknown variable whose name is nearly a known one is a typing error; others may belong to another program. Throws TANDEM_USAGE. */
function checkNames(env: NodeJS.ProcessEnv): void {
  const known = [...Object.values(ENVIRONMENT), ...OTHER_VARIABLES].map((name) => name.slice(PREFIX.length));
  for (const name of Object.keys(env)) {
    const own = name.slice(PREFIX.length);
    if (!name.startsWith(PREFIX) || known.includes(own) || own.startsWith('TEST_')) continue;
    const meant = settingSynonym(own) ?? nearestName(own, known);
    if (meant === null) continue;
    throw new TandemError('TANDEM_USAGE', `nothing reads the variable ${name}`, {
      remedy: `did you mean ${PREFIX}${meant}? Else remove it: unset ${name}`,
    });
  }
}

/** Other tools call `microBatch` `BATCH_SIZE` or `batchSize`. */
function settingSynonym(name: string, as: 'variable' | 'key' = 'variable'): string | null {
  const flag = flagSynonym(name.replace(/[a-z][A-Z]/g, ([a, b]) => `${a}-${b}`))?.flag ?? null;
  const key = SETTINGS.find((setting) => flag === `--${setting.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`);
  if (!key) return flag === '--stage' ? (as === 'key' ? 'stages' : 'STAGES') : null;
  return as === 'key' ? key : ENVIRONMENT[key].slice(PREFIX.length);
}

function readEnvironment(env: NodeJS.ProcessEnv): RunSettings {
  checkNames(env);
  const given = SETTINGS.filter((key) => env[ENVIRONMENT[key]]);
  return Object.fromEntries(given.map((key) => [key, FROM_TEXT[key](env[ENVIRONMENT[key]]!, ENVIRONMENT[key])]));
}

/** Made only if there is a file: zod takes a tenth of a second to load. */
function schemas() {
  const { z } = createRequire(import.meta.url)('zod') as typeof import('zod');
  const count = z.int().min(1).max(MOST);
  const stage = stageEntry(z);
  const config = z.strictObject({
    stages: z
      .array(z.union([z.string(), stage], 'write "cpu,threads=2", or { "device": "cpu", "threads": 2 }'))
      .optional(),
    microBatch: count.optional(),
    depth: count.optional(),
    deadline: count.optional(),
    isolation: z.enum(ISOLATIONS).optional(),
    allowFallback: z.boolean().optional(),
    allowNonFinite: z.boolean().optional(),
    plan: z.string().min(1).optional(),
    maxErrors: z.union([z.string(), z.int().min(0)], 'write 100, or "0.5%"').optional(),
    allowErrors: z.boolean().optional(),
    set: z.record(z.string(), z.union([z.number(), z.boolean(), z.string(), z.array(z.unknown())])).optional(),
    rowsAxis: z.record(z.string(), z.int().min(0)).optional(),
    image: z.string().min(1).optional(),
    column: z.string().min(1).optional(),
    window: z.string().min(1).optional(),
    carry: z.record(z.string(), z.string().min(1)).optional(),
    keep: z.array(z.string().min(1)).optional(),
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
    ...(rest as RunSettings),
    stages: stages?.flatMap((stage, j) => stageFrom(stage, `${file}: stages[${j}]`)),
    maxErrors: maxErrors === undefined ? undefined : parseMaxErrors(String(maxErrors), `${file}: maxErrors`),
  };
}

function readIfThere(file: string): string | null {
  try {
    // The user did not name this file: reading a pipe of this name would wait in silence.
    if (statSync(file).isFIFO()) throw new Error('it is a pipe, not a file');
    return readTextFile(file);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new TandemError('TANDEM_USAGE', `${file} cannot be read: ${message}`, {
      remedy: 'correct or remove it',
      cause,
    });
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

/** By the same readers as the flag, so that a stage means the same in both places. */
function stageFrom(stage: string | StageEntry, where: string): StageOptions[] {
  if (typeof stage === 'string') return parseStages(stage, where);
  const { device, beside, ...others } = stage;
  const settings: Readonly<Record<string, unknown>> = others;
  const given = [...STAGE_KEY_NAMES].flatMap(([name, key]) =>
    name in settings ? [[key, settings[name]] as const] : [],
  );
  try {
    // If a setting is given by two names, its own name wins.
    const own = stageOf(device, new Map(given.toReversed()));
    return [{ ...own, ...(beside ? { beside } : {}) }];
  } catch (error) {
    const { message, remedy } = asTandemError(error);
    throw new TandemError('TANDEM_USAGE', `${where}: ${message}`, { remedy });
  }
}

function unfit(file: string, issue: Issue, stageKeys: readonly string[]): TandemError {
  const place = placeOf(issue);
  if (issue.code !== 'unrecognized_keys') {
    const problem = problemOf(issue);
    return new TandemError('TANDEM_USAGE', `${file}: ${place ? `${place}: ` : ''}${problem}`, {
      remedy: 'correct the file',
    });
  }
  const known = issue.path.length === 0 ? SETTINGS : stageKeys;
  const name = issue.keys[0]!;
  const nearest =
    (issue.path.length === 0 ? settingSynonym(name, 'key') : stageKeySynonym(name)) ?? nearestName(name, known);
  return new TandemError('TANDEM_USAGE', `${file}: ${place ? `${place} has` : 'there is'} no setting "${name}"`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}? `}there are ${known.join(', ')}`,
  });
}

function truth(text: string, where: string): boolean {
  return oneOf(['true', 'false'], text, where) === 'true';
}

/** One setting of several, as NAME=VALUE. */
export function pairFrom<T>(
  text: string,
  where: string,
  read: (value: string, where: string) => T,
): Readonly<Record<string, T>> {
  // A name may contain `=`; a number cannot.
  const file = text.indexOf('=@');
  const at = file > 0 ? file : text.lastIndexOf('=');
  const name = text.slice(0, at);
  if (at > 0 && at + 1 < text.length) return { [name]: read(text.slice(at + 1), `${where} ${name}=`) };
  throw new TandemError('TANDEM_USAGE', `${where} "${text}" is not NAME=VALUE`, {
    remedy: `begin with the name of an input, for example: ${where} x=1`,
  });
}

function pairs<T>(texts: readonly string[], where: string, read: (value: string, where: string) => T) {
  return Object.assign({}, ...texts.map((text) => pairFrom(text, where, read))) as Readonly<Record<string, T>>;
}

export function axisFrom(text: string, where: string): number {
  if (/^\d{1,2}$/.test(text)) return Number(text);
  throw new TandemError('TANDEM_USAGE', `${where}${text} is not the number of an axis`, {
    remedy: 'axes count from 0: the second one is 1',
  });
}

/** Stages stand apart by spaces; a card's name in quotes may have some: `gpu:"RTX 4090",memory=4GiB cpu`. */
function stageWords(text: string): string[] {
  return text.match(/(?:"[^"]*"|'[^']*'|\S)+/g) ?? [];
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
