/** The bytes of an Arrow file or stream, message by message, each checked before the library sees it. */
import { TandemError } from '../../errors.js';
import { checkMetadata } from './check-metadata.js';

/** A file is a stream between this and a directory, which reading in order does not need. */
const MAGIC = Buffer.from('ARROW1\0\0');
/** Stands before the length of a message's metadata, in files since 2019. */
const CONTINUED = 0xffffffff;
/** Most bytes of a message's metadata: some 100,000 columns. */
const MOST_METADATA = 64 << 20;
/** Most bytes of a batch, which is held at once. */
const MOST_BODY = 2 ** 31;

/** Throws Error for damaged messages, and what `chunks` throws. Bytes after the last message are not read. */
export async function* ipcMessages(chunks: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const bytes = new Taken(chunks);
  const start = await bytes.upTo(MAGIC.length);
  if (!start.equals(MAGIC)) bytes.putBack(start);
  for (let isFirst = true; ; isFirst = false) {
    let prefix = await bytes.upTo(4);
    if (prefix.length === 0) return;
    if (prefix.length === 4 && prefix.readUInt32LE() === CONTINUED)
      prefix = Buffer.concat([prefix, await bytes.upTo(4)]);
    const length = prefix.length % 4 === 0 ? prefix.readUInt32LE(prefix.length - 4) : Number.NaN;
    if (length === 0) return;
    if (!(length <= MOST_METADATA)) throw new Error(`a message claims ${length} bytes of metadata`);
    const metadata = await bytes.upTo(length);
    if (metadata.length < length) throw new Error('it ends inside a message');
    const { body, isSchema } = checkMetadata(metadata);
    if (isFirst && !isSchema) throw withoutSchema();
    if (body < 0 || body > MOST_BODY) throw tooLarge(body);
    yield prefix;
    yield metadata;
    yield* bytes.pass(body);
  }
}

/** Bytes in pieces as they are wanted. */
class Taken {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterator<Uint8Array>) {
    this.#chunks = chunks;
  }

  putBack(bytes: Buffer): void {
    this.#rest = Buffer.concat([bytes, this.#rest]);
  }

  /** The next `count` bytes in memory of their own; fewer at the end. */
  async upTo(count: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.#parts(count)) parts.push(part);
    return Buffer.concat(parts);
  }

  /** The next `count` bytes as they come. Throws Error if there are fewer. */
  async *pass(count: number): AsyncGenerator<Uint8Array> {
    let left = count;
    for await (const part of this.#parts(count)) {
      left -= part.length;
      yield part;
    }
    if (left > 0) throw new Error('it ends inside a message');
  }

  async *#parts(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0; ) {
      if (this.#rest.length === 0) {
        const { value, done } = await this.#chunks.next();
        if (done) return;
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      if (part.length > 0) yield part;
    }
  }
}

function withoutSchema(): TandemError {
  return new TandemError(
    'TANDEM_INPUT_INVALID',
    'the Arrow input has rows before its schema, which is in its footer alone',
    {
      remedy: "apache-arrow for JavaScript writes such files: write a stream instead: tableToIPC(table, 'stream')",
    },
  );
}

function tooLarge(bytes: number): TandemError {
  return new TandemError(
    'TANDEM_INPUT_INVALID',
    `a batch of the Arrow input claims ${bytes} bytes, too many to hold at once`,
    {
      remedy: 'write it in smaller batches: feather.write_feather(table, FILE, chunksize=10_000)',
    },
  );
}
