/** Opens the rows of a job in any format: one file, stdin, or one NPY file for each model input. */
import type { Readable } from 'node:stream';
import { TandemError } from '../errors.js';
import type { TensorSpec } from '../tensor.js';
import { openChunks, streamChunks } from './byte-chunks.js';
import { estimateLines } from './estimate-lines.js';
import { FilesInRow } from './files-in-row.js';
import { type Format, STANDARD_STREAM } from './format.js';
import { formatOf } from './format-of-path.js';
import { openJsonl } from './json/open-jsonl.js';
import { openNpy, openNpyStdin } from './npy/open-npy.js';
import { openNpz } from './npz/open-npz.js';
import { DEFAULT_MAX_ROW_BYTES } from './record-source.js';
import type { RowRange } from './row-range.js';
import type { Source } from './source.js';
import { sourceWithin } from './within-range.js';

/** A path, `-` for stdin, several paths of one format, or a path for each input by name (NPY files). */
export type SourceInput = string | readonly string[] | ReadonlyMap<string, string>;

export interface SourceOptions {
  /** Overrides the format by extension. Stdin is JSONL by default, and may be NPY. */
  readonly format?: string;
  /** The stream that `-` reads; default `process.stdin`. */
  readonly stdin?: Readable;
  /** Position of the first row to read, from 0: where a stopped job resumes. Open dims are still those of the whole input. */
  readonly firstRow?: number;
  /** The rows that the source ends with; `firstRow` is one of them. Default: the whole input. */
  readonly range?: RowRange | undefined;
  /** Accept rows with NaN or infinities. By default such a row fails, in every format. */
  readonly allowNonFinite?: boolean | undefined;
  /** Longest JSON line or row of a table in bytes; a longer one is a failed row. Default 64 MiB. */
  readonly maxLineBytes?: number;
}

/**
 * The rows of `input` for a model whose inputs are `specs`, with the rows' axis first.
 * Throws TANDEM_INPUT_MISSING, TANDEM_INPUT_INVALID, TANDEM_INPUT_EMPTY, TANDEM_INPUT_CHANGED, and TANDEM_USAGE for an impossible format.
 */
export async function openSource(
  input: SourceInput,
  specs: readonly TensorSpec[],
  options: SourceOptions = {},
): Promise<Source> {
  checkSpecs(specs);
  const source = await openWhole(input, specs, options);
  const { range, firstRow = 0 } = options;
  return range ? sourceWithin(source, range, firstRow) : source;
}

async function openWhole(input: SourceInput, specs: readonly TensorSpec[], options: SourceOptions): Promise<Source> {
  if (input instanceof Map) return openFiles(input, specs, options);
  const paths = typeof input === 'string' ? [input] : (input as readonly string[]);
  const { firstRow = 0, maxLineBytes = DEFAULT_MAX_ROW_BYTES, allowNonFinite = false, stdin } = options;
  const format = formatOf(paths[0]!, options.format);
  const reading = { firstRow, at: options.range?.at, maxLineBytes, allowNonFinite };
  switch (format) {
    case 'jsonl':
      return openJsonl(linesOf(paths, options), specs, { ...reading, rowsAbout: estimateLines(paths) });
    case 'csv':
    case 'tsv':
    case 'parquet':
    case 'arrow':
      return (await import('./record-rows.js')).openRecordRows(paths, specs, { ...reading, format, stdin });
    case 'images':
    case 'wav':
      throw new TandemError(
        'TANDEM_USAGE',
        `${paths[0]} is one row of ${format}, which nothing here turns into tensors`,
        {
          remedy: 'give them to tandem run or tandem plan',
        },
      );
  }
  if (paths[0] === STANDARD_STREAM) return openArraysStdin(format, specs, options);
  const open = (path: string, firstRow: number) => openArrays(path, format, specs, { firstRow, allowNonFinite });
  return paths.length === 1 ? open(paths[0]!, firstRow) : FilesInRow.open(paths, firstRow, open);
}

/** The files of JSON lines. */
export function linesOf(paths: readonly string[], { stdin = process.stdin }: SourceOptions = {}) {
  return paths.map((path) => ({
    where: path === STANDARD_STREAM ? 'stdin' : path,
    open: async (from?: number) =>
      path === STANDARD_STREAM ? streamChunks(stdin, 'stdin', 'jsonl') : openChunks(path, 'jsonl', from),
  }));
}

type ArrayFormat = Extract<Format, 'npy' | 'npz' | 'safetensors'>;

async function openArrays(
  path: string,
  format: ArrayFormat,
  specs: readonly TensorSpec[],
  options: { readonly firstRow: number; readonly allowNonFinite: boolean },
): Promise<Source> {
  if (format === 'npz') return openNpz(path, specs, options);
  if (format === 'safetensors') {
    return (await import('./safetensors/open-safetensors.js')).openSafetensors(path, specs, options);
  }
  return openNpy(new Map([[theOnly(specs, path).name, path]]), specs, options);
}

async function openArraysStdin(
  format: ArrayFormat,
  specs: readonly TensorSpec[],
  { stdin = process.stdin, firstRow = 0, allowNonFinite = false }: SourceOptions,
): Promise<Source> {
  if (format === 'npy') return openNpyStdin(stdin, theOnly(specs, 'stdin'), { firstRow, allowNonFinite });
  const [name, why] =
    format === 'npz' ? ['NPZ', 'its directory is at its end'] : ['safetensors', 'its tensors lie apart'];
  throw new TandemError('TANDEM_USAGE', `${name} cannot be read from stdin: ${why}`, {
    remedy: 'write it to a file first, or send NPY or JSON lines',
  });
}

async function openFiles(
  paths: ReadonlyMap<string, string>,
  specs: readonly TensorSpec[],
  { format, firstRow = 0, allowNonFinite = false }: SourceOptions,
): Promise<Source> {
  for (const [name, path] of paths) {
    if (path !== STANDARD_STREAM && formatOf(path, format) === 'npy') continue;
    throw new TandemError('TANDEM_USAGE', `the input ${name}=${path} is not an NPY file`, {
      remedy:
        'give an .npy file for each input, or all inputs in one .npz, .safetensors or .jsonl file without a name before it',
    });
  }
  return openNpy(paths, specs, { firstRow, allowNonFinite });
}

/** An array without a name can feed only a model with one input. */
function theOnly(specs: readonly TensorSpec[], where: string): TensorSpec {
  if (specs.length === 1) return specs[0]!;
  const names = specs.map(({ name }) => name);
  throw new TandemError(
    'TANDEM_INPUT_INVALID',
    `${where} is one array, but the model has ${names.length} inputs: ${names.join(', ')}`,
    {
      remedy: `give one file for each: ${names.map((name) => `--input ${name}=${name}.npy`).join(' ')}; or all in one .npz`,
    },
  );
}

function checkSpecs(specs: readonly TensorSpec[]): void {
  const scalar = specs.find(({ shape }) => shape.length === 0);
  if (specs.length > 0 && !scalar) return;
  const problem = scalar ? `input "${scalar.name}" of the model has no rows axis` : 'the model has no inputs';
  throw new TandemError('TANDEM_MODEL_UNSUPPORTED', `${problem}, so rows cannot be fed to it`, {
    remedy: 'export the model with a batch dimension in front of every input',
  });
}
