/** `--stage DEVICE[,key=value…]` as stage options; several joined by `+` are replicas. */
import { parseDevice } from '../engine/device.js';
import { asTandemError, TandemError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import { STAGE_KEY_NAMES, STAGE_SETTINGS, type StageOptions, stageFrom } from '../plan/stage-options.js';
import { deviceWord, stageKeySynonym } from './synonyms.js';

/** `gpu+cpu,threads=4`: both compute the same layers, each its share of the micro-batches. Errors as of `parseStage`. */
export function parseStages(text: string, where = `--stage ${text}`): StageOptions[] {
  return text.split('+').map((part, n) => ({ ...parseStage(part, where), ...(n > 0 ? { beside: true } : {}) }));
}

/** Throws TANDEM_USAGE with the error and a correct example; `where` names the place of `text`. */
function parseStage(text: string, where = `--stage ${text}`): StageOptions {
  const [device = '', ...pairs] = text.split(',');
  try {
    return stageOf(device, valuesOf(pairs));
  } catch (error) {
    const { code, message, remedy } = asTandemError(error);
    throw new TandemError(code, `${where}: ${message}`, { remedy });
  }
}

/** A stage from its given settings. Throws TANDEM_USAGE. */
export function stageOf(device: string, values: ReadonlyMap<string, unknown>): StageOptions {
  checkDevice(device);
  return stageFrom(device, values);
}

/** Throws TANDEM_USAGE. */
function checkDevice(device: string): void {
  try {
    parseDevice(device);
  } catch (error) {
    const meant = deviceWord(device);
    const { code, message, remedy } = asTandemError(error);
    throw new TandemError(code, message, { remedy: meant === null ? remedy : `did you mean ${meant}?` });
  }
}

function valuesOf(pairs: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (const pair of pairs) {
    const [name = '', ...rest] = pair.split('=');
    const key = STAGE_KEY_NAMES.get(name);
    if (!key) {
      const names = [...STAGE_KEY_NAMES.keys()];
      const nearest = stageKeySynonym(name) ?? nearestName(name, names);
      const hint = nearest === null ? '' : `did you mean ${nearest}=? `;
      throw usage(`"${name}" is not a setting of a stage`, `${hint}there are ${names.join('=, ')}=`);
    }
    if (values.has(key))
      throw usage(`${name === key ? key : `${name}=, which is ${key}=,`} is given twice`, `give ${key}= once`);
    const value = rest.join('=');
    if (value === '') throw usage(`${key} has no value`, `for example: ${key}=${STAGE_SETTINGS[key].example}`);
    values.set(key, value);
  }
  return values;
}

function usage(message: string, remedy: string): TandemError {
  return new TandemError('TANDEM_USAGE', message, { remedy });
}
