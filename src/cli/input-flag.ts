/** `--input FILE`, or `--input NAME=FILE` for each of a model's inputs. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { TandemError } from '../errors.js';
import { nearestName } from '../job/nearest-name.js';
import type { TensorSpec } from '../tensor.js';

/** One path, or a path for each named input. A name that the model does not have is part of a path. Throws TANDEM_USAGE, TANDEM_INPUT_MISSING. */
export function inputsOf(inputs: readonly TensorSpec[], texts: readonly string[]): string | Map<string, string> {
  const names = inputs.map(({ name }) => name);
  const named = new Map<string, string>();
  const plain: string[] = [];
  for (const text of texts) {
    const at = text.indexOf('=');
    const name = text.slice(0, at);
    if (at <= 0 || !names.includes(name)) {
      if (at > 0 && !existsSync(text)) throw neither(text, name, names);
      plain.push(text);
      continue;
    }
    if (named.has(name)) {
      throw new TandemError('TANDEM_USAGE', `--input ${name}= is given twice`, {
        remedy: 'give one file for each input',
      });
    }
    named.set(name, text.slice(at + 1));
  }
  if (plain.length === 0) return named;
  if (plain.length === 1 && named.size === 0) return plain[0]!;
  throw new TandemError('TANDEM_USAGE', `--input ${plain.at(-1)} does not say which of the model's inputs it holds`, {
    remedy: `write ${names.map((name) => `--input ${name}=FILE.npy`).join(' ')}, or name one file with all of them`,
  });
}

/** The texts that ask for the same from any folder. */
export function textsOf(input: string | ReadonlyMap<string, string>): string[] {
  if (typeof input === 'string') return [resolve(input)];
  return [...input].map(([name, path]) => `${name}=${resolve(path)}`);
}

function neither(text: string, name: string, names: readonly string[]): TandemError {
  const nearest = nearestName(name, names);
  return new TandemError('TANDEM_INPUT_MISSING', `there is no file ${text}, and the model has no input "${name}"`, {
    remedy: `${nearest === null ? '' : `did you mean ${nearest}=? `}the model's inputs are ${names.join(', ')}`,
  });
}
