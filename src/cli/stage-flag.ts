/** `--stage DEVICE[,key=value…]` as stage options. */
import { parseDevice } from '../engine/registry.js';
import { TandemError } from '../errors.js';
import type { LayerRange, StageOptions } from '../plan/plan.js';
import { parseBytes } from './bytes.js';

const KEYS = ['layers', 'memory', 'threads', 'workers', 'provider'] as const;
type Key = (typeof KEYS)[number];

/** Throws TANDEM_USAGE with what is wrong and what would be right. */
export function parseStageFlag(text: string): StageOptions {
  const [device = '', ...pairs] = text.split(',');
  parseDevice(device);
  const values = new Map<Key, string>();
  for (const pair of pairs) {
    const [key = '', ...rest] = pair.split('=');
    const known = KEYS.find((name) => name === key);
    if (!known || rest.length === 0) {
      throw usage(
        `--stage ${text}: "${pair}" is not one of its settings`,
        `use ${KEYS.map((name) => `${name}=`).join(', ')}`,
      );
    }
    if (values.has(known)) throw usage(`--stage ${text}: ${known} is given twice`, `give ${known}= once`);
    values.set(known, rest.join('='));
  }
  const count = (key: Key) => (values.has(key) ? parseCount(values.get(key)!, `${key}=`) : undefined);
  return {
    device,
    layers: values.has('layers') ? parseLayers(values.get('layers')!) : undefined,
    memory: values.has('memory') ? parseBytes(values.get('memory')!) : undefined,
    threads: count('threads'),
    workers: count('workers'),
    provider: values.get('provider'),
  };
}

/** A whole number from 1 up. */
export function parseCount(text: string, what: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= 1_000_000) return count;
  throw usage(
    `${what} "${text}" is not a whole number from 1 up`,
    `for example ${what.endsWith('=') ? what : `${what} `}2`,
  );
}

function parseLayers(text: string): LayerRange {
  const match = /^(\d+)\.\.(\d+)$/.exec(text);
  if (match) return { from: Number(match[1]), to: Number(match[2]) };
  throw usage(`layers=${text} is not a range`, 'write layers=0..5 for the layers 0 to 5 of: tandem inspect MODEL');
}

function usage(message: string, remedy: string): TandemError {
  return new TandemError('TANDEM_USAGE', message, { remedy });
}
