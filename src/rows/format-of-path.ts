/** The row format of a path, by its extension. */
import { extname } from 'node:path';
import { TandemError } from '../errors.js';
import { remedyForName } from './file-kind.js';
import { FORMATS, type Format, OUTPUT_FORMATS, type OutputFormat, STANDARD_STREAM } from './format.js';

const BY_EXTENSION: ReadonlyMap<string, Format> = new Map([
  ['.jsonl', 'jsonl'],
  ['.ndjson', 'jsonl'],
  ['.csv', 'csv'],
  ['.tsv', 'tsv'],
  ['.tab', 'tsv'],
  ['.parquet', 'parquet'],
  ['.arrow', 'arrow'],
  ['.feather', 'arrow'],
  ['.arrows', 'arrow'],
  ['.npy', 'npy'],
  ['.npz', 'npz'],
  ['.safetensors', 'safetensors'],
  ...['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif', '.bmp'].map(
    (end) => [end, 'images'] as const,
  ),
  ['.wav', 'wav'],
]);

/** Extensions after that of the format: the input is decompressed while it is read. */
export const COMPRESSED = /\.(?:gz|zst)$/i;

/**
 * The format of the input `path`: `explicit` if given, else by its extension before .gz or .zst; JSONL for `-`.
 * Throws TANDEM_USAGE for an unknown format or extension.
 */
export function formatOf(path: string, explicit?: string): Format {
  return settled(path, explicit, 'input', FORMATS);
}

/** Likewise of the output `path`. */
export function outputFormatOf(path: string, explicit?: string): OutputFormat {
  return settled(path, explicit, 'output', OUTPUT_FORMATS);
}

function settled<T extends Format>(
  path: string,
  explicit: string | undefined,
  side: 'input' | 'output',
  known: readonly T[],
): T {
  if (explicit !== undefined) return checkFormat(explicit, known);
  const format = path === STANDARD_STREAM ? 'jsonl' : formatByName(path, side);
  const found = known.find((one) => one === format);
  if (found) return found;
  const { what, remedy } = remedyForName(path, side);
  const problem = what
    ? `the ${side} ${path} is ${what}, by its name`
    : `the extension of ${path} is not that of a row format`;
  throw new TandemError('TANDEM_USAGE', problem, { remedy });
}

/** `null` for an extension that is not that of a row format. */
export function formatByName(path: string, side: 'input' | 'output' = 'input'): Format | null {
  const name = side === 'input' ? path.replace(COMPRESSED, '') : path;
  return BY_EXTENSION.get(extname(name).toLowerCase()) ?? null;
}

function checkFormat<T extends Format>(name: string, known: readonly T[]): T {
  const format = known.find((one) => one === name);
  if (format) return format;
  throw new TandemError('TANDEM_USAGE', `"${name}" is not a row format`, { remedy: `use ${known.join(', ')}` });
}
