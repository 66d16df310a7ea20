/** Opens the output of a job, whatever its format, so that nothing of an earlier one is lost and no half file gets the final name. */
import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { TandemError } from '../errors.js';
import { ErrorsFile, errorsPath } from './errors-file.js';
import { type Format, formatOf, STANDARD_STREAM } from './format.js';
import { JsonlWriter } from './formats/jsonl-writer.js';
import { NpyWriter, oneArrayOnly } from './formats/npy-writer.js';
import { NpzWriter } from './formats/npz-writer.js';
import type { RowsWriter } from './formats/rows-writer.js';
import { outputError } from './output-error.js';
import { OutputLock } from './output-lock.js';
import { OutputSink } from './output-sink.js';
import { PartialFile, partialPath, refuseExisting } from './partial-file.js';
import type { Sink } from './sink.js';
import { StdoutWriter } from './stdout-writer.js';

export interface SinkOptions {
  /** Overrides what the file's extension says; stdout is JSONL unless this says NPY. */
  readonly format?: string;
  /** Replace an output that is there already. */
  readonly force?: boolean;
  /** What `-` writes to; default `process.stdout`. It is not closed. */
  readonly stdout?: Writable;
  /** Rows that will come, where that is known: NPY on stdout needs it. */
  readonly rows?: number | null;
  /** The model's outputs, so that a format without place for them is refused at once and not after the first rows. */
  readonly outputs?: readonly string[];
  /** Files that the job reads; an output that would replace one is refused. */
  readonly inputs?: readonly string[];
}

/**
 * A sink for `output`, a path or `-` for stdout. Failed rows go to `<output>.errors.jsonl`; with `-` they go nowhere, and the job tells them.
 * Throws TANDEM_OUTPUT_EXISTS, TANDEM_OUTPUT_FAILED, TANDEM_OUTPUT_UNSUPPORTED, TANDEM_USAGE.
 */
export async function openSink(output: string, options: SinkOptions = {}): Promise<Sink> {
  const format = formatOf(output, options.format);
  if (format === 'npy' && (options.outputs?.length ?? 1) > 1) throw oneArrayOnly(options.outputs!);
  if (output === STANDARD_STREAM) return new OutputSink({ writer: pipeWriter(format, options) });
  await checkOutput(output, options);
  const lock = await OutputLock.take(output);
  try {
    const file = await PartialFile.create(output);
    const writer = fileWriter(format, file);
    return new OutputSink({
      writer,
      file: { partial: file, errors: new ErrorsFile(errorsPath(output)), lock, replace: options.force ?? false },
    });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function fileWriter(format: Format, file: PartialFile): RowsWriter {
  switch (format) {
    case 'jsonl':
      return new JsonlWriter(file);
    case 'npy':
      return NpyWriter.toFile(file);
    case 'npz':
      return new NpzWriter(file);
  }
}

function pipeWriter(format: Format, { stdout = process.stdout, rows = null }: SinkOptions): RowsWriter {
  const problem = format === 'npz' ? 'NPZ is put together at the end' : 'NPY starts with the number of rows';
  if (format === 'npz' || (format === 'npy' && rows === null)) {
    throw new TandemError('TANDEM_OUTPUT_UNSUPPORTED', `${problem}, so it cannot go to stdout here`, {
      remedy: 'write it to a file, or write JSON lines to stdout',
    });
  }
  const out = new StdoutWriter(stdout);
  return format === 'npy' ? NpyWriter.toPipe(out, rows!) : new JsonlWriter(out);
}

async function checkOutput(output: string, { force = false, inputs = [] }: SinkOptions): Promise<void> {
  for (const path of [output, partialPath(output), errorsPath(output), partialPath(errorsPath(output))]) {
    await refuseInput(path, inputs);
  }
  const found = await lstat(output).catch(() => null);
  if (found) refuseSpecial(output, found);
  if (!force) await refuseExisting(output);
}

/** A final rename would replace a link, a device or a pipe by a plain file. */
function refuseSpecial(output: string, found: Stats): void {
  if (found.isFile()) return;
  if (found.isDirectory()) throw outputError(output, Object.assign(new Error('a folder'), { code: 'EISDIR' }));
  const what = found.isSymbolicLink() ? 'a symbolic link' : 'a device or a pipe';
  throw new TandemError('TANDEM_OUTPUT_FAILED', `the output ${output} is ${what}, which is never replaced`, {
    remedy: found.isSymbolicLink()
      ? 'name the file that it points to, or another one'
      : `write to stdout instead: --output - > ${output}`,
  });
}

async function refuseInput(path: string, inputs: readonly string[]): Promise<void> {
  const target = await stat(path).catch(() => null);
  if (!target) return;
  for (const input of inputs) {
    const source = await stat(input).catch(() => null);
    if (source?.ino !== target.ino || source.dev !== target.dev) continue;
    throw new TandemError('TANDEM_USAGE', `the output would replace the input ${input}`, {
      remedy: 'name another output',
    });
  }
}
