/** Opens the output of a job without a journal, or of one that writes to stdout. */
import type { Writable } from 'node:stream';
import { TandemError } from '../errors.js';
import { type OutputFormat, STANDARD_STREAM } from '../rows/format.js';
import { outputFormatOf } from '../rows/format-of-path.js';
import { type ClaimOptions, OutputClaim } from './claim.js';
import { checkStdout } from './closed-stdout.js';
import { CsvWriter } from './csv/csv-writer.js';
import { OutputSink } from './journalled-sink.js';
import { JsonlWriter } from './json/jsonl-writer.js';
import { NpyWriter, oneArrayOnly } from './npy/npy-writer.js';
import type { RowsWriter } from './rows-writer.js';
import type { Sink } from './sink.js';
import { StdoutWriter } from './stdout-writer.js';

export interface SinkOptions extends Omit<ClaimOptions, 'fingerprint'> {
  /** The stream that `-` writes to; default `process.stdout`. It is not closed. */
  readonly stdout?: Writable;
  /** Number of rows, if known: NPY on stdout needs it. */
  readonly rows?: number | null;
}

/**
 * A sink for `output`, a path or `-` for stdout. Failed rows go to `<output>.errors.jsonl`; with `-` they are not written, and the job reports them.
 * Throws as `OutputClaim.take`.
 */
export async function openSink(output: string, options: SinkOptions = {}): Promise<Sink> {
  if (output !== STANDARD_STREAM) return (await OutputClaim.take(output, options)).open();
  if (!options.stdout) checkStdout();
  const format = outputFormatOf(output, options.format);
  if (format === 'npy' && (options.outputs?.length ?? 1) > 1) throw oneArrayOnly(options.outputs!);
  return new OutputSink({ writer: pipeWriter(format, options) });
}

/** Formats that are not written in order. */
const MADE_AT_THE_END: ReadonlyMap<OutputFormat, string> = new Map([
  ['npz', 'an NPZ archive'],
  ['safetensors', 'a safetensors file'],
  ['parquet', 'a Parquet file'],
  ['arrow', 'an Arrow file'],
]);

function pipeWriter(format: OutputFormat, { stdout = process.stdout, rows = null }: SinkOptions): RowsWriter {
  const made = MADE_AT_THE_END.get(format);
  const problem = made ? `${made} is assembled at the end` : 'an NPY file starts with the number of rows';
  if (made || (format === 'npy' && rows === null)) {
    throw new TandemError('TANDEM_OUTPUT_UNSUPPORTED', `${problem}, so it cannot go to stdout here`, {
      remedy: 'write it to a file, or write JSON lines to stdout',
    });
  }
  const out = new StdoutWriter(stdout);
  if (format === 'csv' || format === 'tsv') return new CsvWriter(out, format === 'csv' ? ',' : '\t');
  return format === 'npy' ? NpyWriter.toPipe(out, rows!) : new JsonlWriter(out);
}
