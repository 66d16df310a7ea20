/** Opens JSON lines from a file or a stream. */
import type { Readable } from 'node:stream';
import type { TensorSpec } from '../../tensor.js';
import { openInput } from '../input-file.js';
import type { Source } from '../source.js';
import { mayBeBatchLine } from './batch-line.js';
import { chunksOf, FileRange, unreadable } from './byte-reader.js';
import { linesOf, TOO_LONG } from './jsonl-lines.js';
import { parseRow } from './jsonl-row.js';
import { ObjectSource } from './object-source.js';

export interface LinesOptions {
  readonly firstRow: number;
  readonly maxLineBytes: number;
}

/** Bytes of a file that are read at once. */
const CHUNK = 1 << 20;

export async function openJsonl(path: string, specs: readonly TensorSpec[], options: LinesOptions): Promise<Source> {
  const { handle, size } = await openInput(path);
  if (size === null) return openStream(handle.createReadStream(), path, specs, options);
  const chunks = chunksOf(new FileRange(handle, path, 0, size), CHUNK);
  return open(chunks, path, specs, options, () => handle.close());
}

export function openJsonlStdin(stdin: Readable, specs: readonly TensorSpec[], options: LinesOptions): Promise<Source> {
  return openStream(stdin, 'stdin', specs, options);
}

function openStream(
  stream: Readable,
  where: string,
  specs: readonly TensorSpec[],
  options: LinesOptions,
): Promise<Source> {
  return open(streamChunks(stream, where), where, specs, options, async () => {
    stream.destroy();
  });
}

async function open(
  chunks: AsyncIterable<Uint8Array>,
  where: string,
  specs: readonly TensorSpec[],
  { firstRow, maxLineBytes }: LinesOptions,
  release: () => Promise<void>,
): Promise<Source> {
  const lines = linesOf(chunks, { maxBytes: maxLineBytes, where });
  try {
    return await ObjectSource.open({
      ...{ items: lines, parse: parseRow, specs, where, firstRow, release },
      mayBeBatchLine: (line) => line !== TOO_LONG && mayBeBatchLine(line),
    });
  } catch (error) {
    await release();
    throw error;
  }
}

async function* streamChunks(stream: Readable, where: string): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (cause) {
    throw unreadable(where, cause);
  }
}
