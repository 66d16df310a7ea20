/** What may be said of a stage: each setting once, with all that flags, the config file, programs, plan files and printed commands must know of it. */
import type { z as Zod } from 'zod';
import { TandemError } from '../errors.js';
import { grouped } from '../grouped-digits.js';
import { parseBytes } from './bytes.js';
import { checkCount, MOST_THREADS, MOST_TURNS, parseCount } from './count.js';

/** Layers by the numbers that `tandem inspect` prints, both included. */
export interface LayerRange {
  readonly from: number;
  readonly to: number;
}

/** The processor, or a card by its number or a part of its name; the first card where none is given. */
export type DeviceName = 'cpu' | 'gpu' | `cpu:${number}` | `gpu:${number | string}`;

/** A requested stage; tandem can choose everything but the device. */
export interface StageOptions {
  /** `cpu`, `gpu`, `gpu:1`, `gpu:"RTX 4090"`. */
  readonly device: string;
  readonly layers?: LayerRange;
  /** Threads inside one op. Default: the cores, shared evenly among the workers of all CPU stages. */
  readonly threads?: number;
  /** Workers that each hold the slice and run micro-batches side by side. Default 1. */
  readonly workers?: number;
  readonly provider?: string;
  /** Bytes that the stage may hold. */
  readonly memory?: number;
  /** Whether it loads a part of its layers anew for each block of micro-batches: `never` (default), `auto` if they do not fit, `always`. */
  readonly rotate?: Rotate;
  /** It is a replica of the stage before it: each computes its share of the micro-batches. */
  readonly beside?: boolean;
  /** Its share: so many of each round of micro-batches. Default: by the speeds of the replicas. */
  readonly turns?: number;
}

const ROTATE = ['auto', 'never', 'always'] as const;
export type Rotate = (typeof ROTATE)[number];

interface Setting<T> {
  /** As it may stand behind the `=`. */
  readonly example: string;
  /** From text. `key` names it for people. Throws TANDEM_USAGE. */
  readonly read: (text: string, key: string) => T;
  /** As text that `read` takes. */
  readonly write: (value: T) => string;
  /** In JSON. zod takes long to load, so the caller imports it. */
  readonly schema: (z: typeof Zod) => Zod.ZodType<T>;
  /** What is right in a file, where text is taken as well. */
  readonly orText?: string;
  /** What a program hands over; `what` names it. Throws TANDEM_USAGE. */
  readonly check?: (value: unknown, what: string) => void;
  /** Other names. */
  readonly also?: readonly string[];
}

/** Settings with a key of their own. The device is in front of them, and `+` joins replicas. */
type SettingKey = Exclude<keyof StageOptions, 'device' | 'beside'>;

type Settings = { readonly [K in SettingKey]-?: Setting<NonNullable<StageOptions[K]>> };

/** In the order of messages and printed flags. */
export const STAGE_SETTINGS: Settings = {
  layers: {
    example: '0..5',
    read: readLayers,
    write: ({ from, to }) => `${from}..${to}`,
    schema: (z) => z.strictObject({ from: z.int().min(0), to: z.int().min(0) }),
    orText: 'write "0..5"',
  },
  memory: {
    example: '6GiB',
    read: parseBytes,
    write: (bytes) => (bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20}MiB` : String(bytes)),
    schema: (z) => z.int().min(0),
    orText: 'write "6GiB", or a number of bytes',
  },
  threads: count('4', MOST_THREADS),
  workers: count('2', MOST_THREADS),
  provider: { example: 'webgpu', read: (text) => text, write: (text) => text, schema: (z) => z.string() },
  turns: { ...count('3', MOST_TURNS), also: ['share'] },
  rotate: {
    example: ROTATE.join('|'),
    read: readRotate,
    write: (value) => value,
    schema: (z) => z.enum(ROTATE),
  },
};

const STAGE_KEYS = Object.keys(STAGE_SETTINGS) as SettingKey[];

/** Each as it may be written: `layers=0..5 memory=6GiB …`. */
export const STAGE_EXAMPLES = STAGE_KEYS.map((key) => `${key}=${STAGE_SETTINGS[key].example}`).join(' ');

/** By every name that it has. */
export const STAGE_KEY_NAMES: ReadonlyMap<string, SettingKey> = new Map([
  ...STAGE_KEYS.map((key) => [key, key] as const),
  ...STAGE_KEYS.flatMap((key) => (STAGE_SETTINGS[key].also ?? []).map((name) => [name, key] as const)),
]);

/** Settings from something of each that is given, in the order of the table. */
function each<T>(of: (key: SettingKey, setting: Setting<never>) => T): { readonly [K in SettingKey]: T } {
  const entries = STAGE_KEYS.map((key) => [key, of(key, STAGE_SETTINGS[key] as unknown as Setting<never>)]);
  return Object.fromEntries(entries) as { [K in SettingKey]: T };
}

/** A stage from its settings, each as text or as in a file that `stageEntry` has checked. Throws TANDEM_USAGE. */
export function stageFrom(device: string, given: ReadonlyMap<string, unknown>): StageOptions {
  const settings = each((key, { read }) => {
    const value = given.get(key);
    return typeof value === 'string' ? read(value, key) : value;
  });
  return { device, ...settings } as StageOptions;
}

/** Throws TANDEM_USAGE for a value that the library does not accept; `where` names the stage. */
export function checkStage(stage: StageOptions, where: string): void {
  each((key, { check }) => stage[key] !== undefined && check?.(stage[key], `${where}.${key}`));
}

/** As a flag takes it: `cpu,layers=0..5,threads=2`. What is undefined is left out. */
export function stageText({ device, ...settings }: StageOptions): string {
  const words = each((key, { write }) =>
    settings[key] === undefined ? '' : `,${key}=${write(settings[key] as never)}`,
  );
  return `${device}${Object.values(words).join('')}`;
}

/** The settings that planning chooses if they are not given; a plan keeps all others as given. */
const SETTLED = ['layers', 'threads', 'workers', 'provider'] as const;
const KEPT = STAGE_KEYS.filter((key) => !SETTLED.some((settled) => settled === key)) as (keyof KeptOptions)[];

export type KeptOptions = Omit<StageOptions, 'device' | 'beside' | (typeof SETTLED)[number]>;

/** Without absent ones. */
export function keptOptions(stage: KeptOptions): KeptOptions {
  return Object.fromEntries(KEPT.flatMap((key) => (stage[key] === undefined ? [] : [[key, stage[key]]])));
}

/** A stage in the config file, where settings may have their other names and be written as text. */
export function stageEntry(z: typeof Zod) {
  const entries = [...STAGE_KEY_NAMES].map(([name, key]) => {
    const { schema, orText } = STAGE_SETTINGS[key] as Setting<unknown>;
    const value = orText === undefined ? schema(z) : z.union([z.string(), schema(z)], orText);
    return [name, value.optional()];
  });
  const settings = Object.fromEntries(entries) as object;
  return z.strictObject({ device: z.string(), ...settings, beside: z.boolean().optional() });
}

/** A stage in the library's options. `checkStage` checks the bounds of counts, with messages of its own. */
export function handedStage(z: typeof Zod) {
  const settings = each((_, { schema, check }) => (check ? z.number() : (schema(z) as Zod.ZodType)).optional());
  return z.strictObject({ device: z.string(), ...settings, beside: z.boolean().optional() });
}

type Planned = {
  readonly [K in SettingKey]: Zod.ZodType<K extends keyof KeptOptions ? StageOptions[K] : NonNullable<StageOptions[K]>>;
};

/** The settings of a stage in a plan file: all that planning chooses are present. */
export function plannedSettings(z: typeof Zod): Planned {
  const settings = each((key, { schema }) => (KEPT.some((kept) => kept === key) ? schema(z).optional() : schema(z)));
  return settings as Planned;
}

/** A whole number from 1 to `most`. */
function count(example: string, most: number): Setting<number> {
  const wrong = `not a whole number from 1 to ${grouped(most)}`;
  return {
    example,
    read: (text, key) => parseCount(text, `${key}=`, most),
    write: String,
    schema: (z) => z.int(wrong).min(1, wrong).max(most, wrong),
    check: (value, what) =>
      checkCount(value, `${what} is ${String(value)},`, { most, remedy: 'leave it out to have it chosen' }),
  };
}

function readRotate(text: string): Rotate {
  const found = ROTATE.find((each) => each === text);
  if (found) return found;
  throw new TandemError('TANDEM_USAGE', `rotate=${text} is not known`, {
    remedy: `write rotate=${ROTATE.join(' or rotate=')}`,
  });
}

function readLayers(text: string): LayerRange {
  const match = /^(\d{1,9})\.\.(\d{1,9})$/.exec(text);
  if (match) return { from: Number(match[1]), to: Number(match[2]) };
  throw new TandemError('TANDEM_USAGE', `layers=${text} is not a range`, {
    remedy: 'write layers=0..5 for the layers 0 to 5, by the numbers of: tandem inspect MODEL',
  });
}
