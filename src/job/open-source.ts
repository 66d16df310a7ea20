/** Opens the rows of a job, whatever their format: one file, stdin, or one NPY file for each model input. */
import type { Readable } from 'node:stream';
import { TandemError } from '../errors.js';
import type { TensorSpec } from '../tensor.js';
import { type Format, formatOf, STANDARD_STREAM } from './format.js';
import { openJsonl, openJsonlStdin } from './formats/open-jsonl.js';
import { openNpy, openNpyStdin } from './formats/open-npy.js';
import { openNpz } from './formats/open-npz.js';
import type { Source } from './source.js';

/** A path, `-` for stdin, or a path for each input by name (NPY files). */
export type SourceInput = string | ReadonlyMap<string, string>;

export interface SourceOptions {
  /** Overrides what the file's extension says; stdin is JSONL unless this says NPY. */
  readonly format?: string;
  /** What `-` reads; default `process.stdin`. */
  readonly stdin?: Readable;
  /** Position of the first row to read, from 0: where a stopped job goes on. Sizes are still those that the whole input has. */
  readonly firstRow?: number;
  /** Bytes of a JSON line that are held; a longer line is a failed row. Default 64 MiB. */
  readonly maxLineBytes?: number;
}

const DEFAULT_MAX_LINE_BYTES = 64 << 20;

/**
 * The rows of `input` for a model whose inputs are `specs`, rows' axis first.
 * Throws TANDEM_INPUT_MISSING, TANDEM_INPUT_INVALID, TANDEM_INPUT_EMPTY, TANDEM_INPUT_CHANGED, and TANDEM_USAGE for a format that cannot be.
 */
export async function openSource(
  input: SourceInput,
  specs: readonly TensorSpec[],
  options: SourceOptions = {},
): Promise<Source> {
  checkSpecs(specs);
  if (typeof input !== 'string') return openFiles(input, specs, options);
  const { firstRow = 0, maxLineBytes = DEFAULT_MAX_LINE_BYTES } = options;
  const format = formatOf(input, options.format);
  if (input === STANDARD_STREAM) return openStdin(format, specs, options);
  switch (format) {
    case 'jsonl':
      return openJsonl(input, specs, { firstRow, maxLineBytes });
    case 'npz':
      return openNpz(input, specs, firstRow);
    case 'npy':
      return openNpy(new Map([[theOnly(specs, input).name, input]]), specs, firstRow);
  }
}

async function openStdin(format: Format, specs: readonly TensorSpec[], options: SourceOptions): Promise<Source> {
  const { stdin = process.stdin, firstRow = 0, maxLineBytes = DEFAULT_MAX_LINE_BYTES } = options;
  switch (format) {
    case 'jsonl':
      return openJsonlStdin(stdin, specs, { firstRow, maxLineBytes });
    case 'npy':
      return openNpyStdin(stdin, theOnly(specs, 'stdin'), firstRow);
    case 'npz':
      throw new TandemError('TANDEM_USAGE', 'NPZ cannot be read from stdin: its table of contents is at its end', {
        remedy: 'write it to a file first, or send NPY or JSON lines',
      });
  }
}

async function openFiles(
  paths: ReadonlyMap<string, string>,
  specs: readonly TensorSpec[],
  { format, firstRow = 0 }: SourceOptions,
): Promise<Source> {
  for (const [name, path] of paths) {
    if (path !== STANDARD_STREAM && formatOf(path, format) === 'npy') continue;
    throw new TandemError('TANDEM_USAGE', `the input ${name}=${path} is not an NPY file`, {
      remedy: 'give an .npy file for each input, or all inputs in one .npz or .jsonl file without a name before it',
    });
  }
  return openNpy(paths, specs, firstRow);
}

/** One array without a name can feed only a model with one input. */
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
