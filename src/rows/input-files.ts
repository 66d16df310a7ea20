/** Which files hold the rows: files, globs and folders, or `NAME=FILE` for each of a model's inputs, as `--input` gives them. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { TandemError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import type { TensorSpec } from '../tensor.js';
import { expandInputs } from './expand-inputs.js';
import type { GivenValue } from './given-values.js';
import type { SourceInput } from './open-source.js';

/**
 * One path, several of one format, or a path for each named input. A name that the model does not have is part of a path.
 * Throws TANDEM_USAGE, TANDEM_INPUT_MISSING.
 */
export async function inputsOf(
  inputs: readonly TensorSpec[],
  texts: readonly string[],
  format?: string,
): Promise<SourceInput> {
  const names = inputs.map(({ name }) => name);
  const named = new Map<string, string>();
  const plain: string[] = [];
  for (const text of texts) {
    // Names may hold the sign themselves: the longest one that fits is meant.
    const [name] = names.filter((known) => text.startsWith(`${known}=`)).sort((a, b) => b.length - a.length);
    if (name === undefined) {
      const at = text.indexOf('=');
      if (at > 0 && !existsSync(text) && !/[*?[{]/.test(text)) throw neither(text, text.slice(0, at), names);
      plain.push(text);
      continue;
    }
    if (named.has(name)) {
      throw new TandemError('TANDEM_USAGE', `--input ${name}= is given twice`, {
        remedy: 'give one file for each input',
      });
    }
    named.set(name, text.slice(name.length + 1));
  }
  if (plain.length === 0) return named;
  if (named.size === 0) {
    const files = await expandInputs(plain, format);
    return files.length === 1 ? files[0]! : files;
  }
  throw new TandemError('TANDEM_USAGE', `--input ${plain.at(-1)} does not say which of the model's inputs it holds`, {
    remedy: `write ${names.map((name) => `--input ${name}=FILE.npy`).join(' ')}, or name one file with all of them`,
  });
}

/** The texts that ask for the same from any folder. */
export function textsOf(input: SourceInput): string[] {
  if (input instanceof Map) return [...input].map(([name, path]) => `${name}=${resolve(path)}`);
  return filesOf(input).map((path) => resolve(path));
}

export function filesOf(input: SourceInput): readonly string[] {
  if (typeof input === 'string') return [input];
  return input instanceof Map ? [...input.values()] : (input as readonly string[]);
}

/** Values for all rows, likewise; bigints and typed arrays are none of the command line's. */
export function fromAnywhere(set: Readonly<Record<string, GivenValue>>): Record<string, GivenValue> {
  const moved = ([name, value]: [string, GivenValue]) =>
    [name, typeof value === 'string' && value.startsWith('@') ? `@${resolve(value.slice(1))}` : value] as const;
  return Object.fromEntries(Object.entries(set).map(moved));
}

function neither(text: string, name: string, names: readonly string[]): TandemError {
  const nearest = nearestName(name, names);
  return new TandemError('TANDEM_INPUT_MISSING', `there is no file ${text}, and the model has no input "${name}"`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}=? `}the model's inputs are ${names.join(', ')}`,
  });
}
