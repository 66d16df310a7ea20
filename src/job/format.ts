/** Row formats: which one a path has. */
import { extname } from 'node:path';
import { TandemError } from '../errors.js';

export const FORMATS = ['jsonl', 'npy', 'npz'] as const;
export type Format = (typeof FORMATS)[number];

/** `-` in place of a path: stdin or stdout. */
export const STANDARD_STREAM = '-';

const BY_EXTENSION: ReadonlyMap<string, Format> = new Map([
  ['.jsonl', 'jsonl'],
  ['.ndjson', 'jsonl'],
  ['.npy', 'npy'],
  ['.npz', 'npz'],
]);

/**
 * The format of `path`: `explicit` if given, else by its extension, and JSONL for `-`.
 * Throws TANDEM_USAGE where neither tells.
 */
export function formatOf(path: string, explicit?: string): Format {
  if (explicit !== undefined) return checkFormat(explicit);
  if (path === STANDARD_STREAM) return 'jsonl';
  const format = BY_EXTENSION.get(extname(path).toLowerCase());
  if (format) return format;
  throw new TandemError('TANDEM_USAGE', `the name of ${path} does not tell its format`, {
    remedy: 'name it .jsonl, .npy or .npz, or say which it is with --input-format or --output-format',
  });
}

function checkFormat(name: string): Format {
  const format = FORMATS.find((known) => known === name);
  if (format) return format;
  throw new TandemError('TANDEM_USAGE', `"${name}" is not a row format`, { remedy: `use ${FORMATS.join(', ')}` });
}
