/** `--stage DEVICE[,key=value…]` as stage options; several joined by `+` stand beside each other. */
import { parseDevice } from '../engine/registry.js';
import { asTandemError, TandemError } from '../errors.js';
import { nearestName } from '../job/nearest-name.js';
import { checkCount, MOST_THREADS, MOST_TURNS } from '../plan/count.js';
import type { LayerRange, StageOptions } from '../plan/plan.js';
import { parseBytes } from './bytes.js';

/** Every setting of a stage, with a value that shows how it is written. */
const EXAMPLES = {
  layers: '0..5',
  memory: '6GiB',
  threads: '4',
  workers: '2',
  provider: 'webgpu',
  turns: '3',
} as const;
export type StageKey = keyof typeof EXAMPLES;
const KEYS = Object.keys(EXAMPLES) as StageKey[];

/** `gpu+cpu,threads=4`: both compute the same layers, in turn. Errors as of `parseStageFlag`. */
export function parseStages(text: string, where = `--stage ${text}`): StageOptions[] {
  return text.split('+').map((part, n) => ({ ...parseStageFlag(part, where), ...(n > 0 ? { beside: true } : {}) }));
}

/** Throws TANDEM_USAGE with what is wrong and what would be right; `where` names the place where `text` was written. */
export function parseStageFlag(text: string, where = `--stage ${text}`): StageOptions {
  const [device = '', ...pairs] = text.split(',');
  try {
    return stageOf(device, valuesOf(pairs));
  } catch (error) {
    const { message, remedy } = asTandemError(error);
    throw usage(`${where}: ${message}`, remedy);
  }
}

/** A stage from the text of each of its settings. Throws TANDEM_USAGE. */
export function stageOf(device: string, values: ReadonlyMap<StageKey, string>): StageOptions {
  parseDevice(device);
  const read = <T>(key: StageKey, parse: (text: string) => T) => {
    const text = values.get(key);
    return text === undefined ? undefined : parse(text);
  };
  return {
    device,
    layers: read('layers', parseLayers),
    memory: read('memory', parseBytes),
    threads: read('threads', (text) => parseCount(text, 'threads=', MOST_THREADS)),
    workers: read('workers', (text) => parseCount(text, 'workers=', MOST_THREADS)),
    provider: values.get('provider'),
    turns: read('turns', (text) => parseCount(text, 'turns=', MOST_TURNS)),
  };
}

function valuesOf(pairs: readonly string[]): Map<StageKey, string> {
  const values = new Map<StageKey, string>();
  for (const pair of pairs) {
    const [name = '', ...rest] = pair.split('=');
    const key = KEYS.find((known) => known === name);
    if (!key) {
      const nearest = nearestName(name, KEYS);
      const hint = nearest === null ? '' : `did you mean ${nearest}=? `;
      throw usage(`"${name}" is not a setting of a stage`, `${hint}there are ${KEYS.join('=, ')}=`);
    }
    if (values.has(key)) throw usage(`${key} is given twice`, `give ${key}= once`);
    const value = rest.join('=');
    if (value === '') throw usage(`${key} has no value`, `for example: ${key}=${EXAMPLES[key]}`);
    values.set(key, value);
  }
  return values;
}

/** A whole number from 1 up; `what` names it for people. */
export function parseCount(text: string, what: string, most?: number): number {
  const count = /^\d+$/.test(text) ? Number(text) : null;
  return checkCount(count, `${what} "${text}" is`, { most, remedy: 'for example: 2' });
}

function parseLayers(text: string): LayerRange {
  const match = /^(\d{1,9})\.\.(\d{1,9})$/.exec(text);
  if (match) return { from: Number(match[1]), to: Number(match[2]) };
  throw usage(
    `layers=${text} is not a range`,
    'write layers=0..5 for the layers 0 to 5, by the numbers of: tandem inspect MODEL',
  );
}

function usage(message: string, remedy: string): TandemError {
  return new TandemError('TANDEM_USAGE', message, { remedy });
}
