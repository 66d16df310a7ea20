/** Opens the output of a job that is not journalled, or of one that goes to stdout. */
import type { Writable } from 'node:stream';
import { TandemError } from '../errors.js';
import { type Format, formatOf, STANDARD_STREAM } from './format.js';
import { JsonlWriter } from './formats/jsonl-writer.js';
import { NpyWriter, oneArrayOnly } from './formats/npy-writer.js';
import type { RowsWriter } from './formats/rows-writer.js';
import { type ClaimOptions, OutputClaim } from './output-claim.js';
import { OutputSink } from './output-sink.js';
import type { Sink } from './sink.js';
import { StdoutWriter } from './stdout-writer.js';

export interface SinkOptions extends Omit<ClaimOptions, 'fingerprint'> {
  /** What `-` writes to; default `process.stdout`. It is not closed. */
  readonly stdout?: Writable;
  /** Rows that will come, where that is known: NPY on stdout needs it. */
  readonly rows?: number | null;
}

/**
 * A sink for `output`, a path or `-` for stdout. Failed rows go to `<output>.errors.jsonl`; with `-` they go nowhere, and the job tells them.
 * Throws as `OutputClaim.take`.
 */
export async function openSink(output: string, options: SinkOptions = {}): Promise<Sink> {
  if (output !== STANDARD_STREAM) return (await OutputClaim.take(output, options)).open();
  const format = formatOf(output, options.format);
  if (format === 'npy' && (options.outputs?.length ?? 1) > 1) throw oneArrayOnly(options.outputs!);
  return new OutputSink({ writer: pipeWriter(format, options) });
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
