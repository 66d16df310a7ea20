/** The bytes of an input in chunks, from a file or a stream, decompressed where its first bytes are those of gzip or zstd. */
import { pipeline, type Readable, type Transform } from 'node:stream';
import zlib from 'node:zlib';
import { TandemError } from '../errors.js';
import { shellWord } from '../shell-word.js';
import { chunksOf, FileRange, unreadable } from './byte-reader.js';
import { HEAD_BYTES, refuseOtherKinds } from './file-kind.js';
import type { Format } from './format.js';
import { openInput } from './input-file.js';
import { soundZstd } from './zstd.js';

export interface ByteChunks {
  /** Read once. Throws TANDEM_INPUT_CHANGED, and TANDEM_INPUT_INVALID for damaged compressed bytes. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Ends a read that is under way, and closes the file. */
  readonly release: () => Promise<void>;
}

/** Bytes of a file that are read at once, and decompressed bytes that come at once: few enough that a chunk is garbage before V8 promotes it. */
const CHUNK = 1 << 18;

const GZIP = Buffer.of(0x1f, 0x8b);
const ZSTD = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);

/**
 * Throws as `openInput`. The first chunk throws TANDEM_INPUT_INVALID if the bytes are not of `format`. From a byte after the first one, a file is
 * read as it is.
 */
export async function openChunks(path: string, format: Format, from = 0): Promise<ByteChunks> {
  const { handle, size } = await openInput(path);
  if (size === null) return streamChunks(handle.createReadStream(), path, format);
  const chunks = chunksOf(new FileRange(handle, path, Math.min(from, size), size), CHUNK);
  return { chunks: from > 0 ? chunks : checked(chunks, path, format), release: () => handle.close() };
}

export function streamChunks(stream: Readable, where: string, format: Format): ByteChunks {
  const release = async () => {
    stream.destroy();
  };
  return { chunks: checked(fromStream(stream, where), where, format), release };
}

async function* fromStream(stream: Readable, where: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  } catch (cause) {
    throw unreadable(where, cause);
  }
}

/** Decompresses where needed, and refuses other kinds of files before their first bytes are read as a row. */
async function* checked(chunks: AsyncIterable<Uint8Array>, where: string, format: Format): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const chunk of await decompressed(chunks, where)) {
    if (isFirst) refuseOtherKinds(Buffer.from(chunk.subarray(0, HEAD_BYTES)), where, format);
    isFirst = false;
    yield chunk;
  }
}

/** Whether the first bytes of a file are those of gzip or zstd. */
export function isCompressed(head: Buffer): boolean {
  return [GZIP, ZSTD].some((magic) => head.subarray(0, magic.length).equals(magic));
}

async function decompressed(chunks: AsyncIterable<Uint8Array>, where: string): Promise<AsyncIterable<Uint8Array>> {
  const parts = chunks[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < ZSTD.length) {
    const { value, done } = await parts.next();
    if (done) break;
    head.push(value);
    bytes += value.length;
  }
  const start = Buffer.concat(head);
  const all = rejoined(start, parts);
  if (start.subarray(0, GZIP.length).equals(GZIP)) return through(all, zlib.createGunzip({ chunkSize: CHUNK }), where);
  if (start.subarray(0, ZSTD.length).equals(ZSTD)) return through(all, zstd(where), where);
  return all;
}

async function* rejoined(start: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (start.length > 0) yield start;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function* through(
  chunks: AsyncIterable<Uint8Array>,
  decompressor: Transform,
  where: string,
): AsyncGenerator<Uint8Array> {
  let given = 0;
  let isWhole = false;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      given += chunk.length;
      yield chunk;
    }
    isWhole = true;
  }
  // The callback receives what the iteration below throws anyway.
  pipeline(counted, decompressor, () => {});
  try {
    yield* decompressor;
    const taken = (decompressor as Transform & { readonly bytesWritten: number }).bytesWritten;
    if (!isWhole || taken < given) throw bytesBehind(where);
  } catch (error) {
    if (error instanceof TandemError || !isDamage(error)) throw error;
    throw new TandemError('TANDEM_INPUT_INVALID', `${where} cannot be decompressed: ${(error as Error).message}`, {
      remedy: 'the file is damaged or was cut short: copy it again',
      cause: error,
    });
  }
}

function bytesBehind(where: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `${where} has other bytes behind its compressed rows`, {
    remedy: 'the file is damaged: copy it again; or decompress it first',
  });
}

/** zlib's own errors, of gzip and of zstd. */
function isDamage(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return code.startsWith('Z_') || code.startsWith('ZSTD_') || code === 'ERR_ZLIB_INITIALIZATION_FAILED';
}

function zstd(where: string): Transform {
  const own = soundZstd();
  if (own) return own.createZstdDecompress({ chunkSize: CHUNK });
  const file = where === 'stdin' ? 'FILE' : where;
  throw new TandemError(
    'TANDEM_INPUT_INVALID',
    `${where} is compressed with zstd, which Node ${process.versions.node} does not read, or not without losing rows of a file that was cut short`,
    { remedy: `use Node 24 or later, or decompress it first: zstd -d ${shellWord(file)}` },
  );
}
