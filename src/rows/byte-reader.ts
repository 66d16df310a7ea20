/** Reads bytes in order from a range of a file, a member of a ZIP archive or a pipe. */
import type { FileHandle } from 'node:fs/promises';
import { TandemError } from '../errors.js';

export interface ByteReader {
  /** Bytes not yet read, or `null` if that is not known before reading. */
  readonly left: number | null;
  /**
   * Fill `into`, which may be shared memory, with the next bytes.
   * Throws TANDEM_INPUT_CHANGED when there are fewer, or the system cannot read them.
   */
  read(into: Uint8Array): Promise<void>;
  /** Skip the next `bytes`. */
  skip(bytes: number): Promise<void>;
  /** Called after the last wanted byte. Throws TANDEM_INPUT_INVALID if more bytes follow or a checksum is wrong. */
  end(): Promise<void>;
  close(): Promise<void>;
}

/** Bytes that one call reads at most: systems read fewer than 2 GiB per call. */
const READ_AT_ONCE = 1 << 30;

/** Bytes [from, to) of a file, read by position; the file stays open for its owner. */
export class FileRange implements ByteReader {
  readonly #handle: FileHandle;
  readonly #where: string;
  readonly #to: number;
  #position: number;

  constructor(handle: FileHandle, where: string, from: number, to: number) {
    this.#handle = handle;
    this.#where = where;
    this.#position = from;
    this.#to = to;
  }

  get left(): number {
    return this.#to - this.#position;
  }

  async read(into: Uint8Array): Promise<void> {
    if (into.length > this.left) throw endsTooSoon(this.#where);
    for (let done = 0; done < into.length; ) {
      const length = Math.min(into.length - done, READ_AT_ONCE);
      const { bytesRead } = await this.#handle.read(into, done, length, this.#position).catch((cause) => {
        throw unreadable(this.#where, cause);
      });
      if (bytesRead === 0) throw endsTooSoon(this.#where);
      done += bytesRead;
      this.#position += bytesRead;
    }
  }

  async skip(bytes: number): Promise<void> {
    if (bytes > this.left) throw endsTooSoon(this.#where);
    this.#position += bytes;
  }

  async end(): Promise<void> {
    if (this.left > 0) throw moreFollows(this.#where);
  }

  async close(): Promise<void> {}
}

/** The unread part of `range` in chunks of at most `bytes`. Each chunk is read when it is requested. */
export async function* chunksOf(range: FileRange, bytes: number): AsyncGenerator<Uint8Array> {
  while (range.left > 0) {
    const chunk = new Uint8Array(Math.min(bytes, range.left));
    await range.read(chunk);
    yield chunk;
  }
}

/** Bytes of a stream. Errors of the stream become TANDEM_INPUT_CHANGED. */
export class StreamBytes implements ByteReader {
  readonly left = null;
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #where: string;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(stream: AsyncIterable<Uint8Array>, where: string) {
    this.#chunks = stream[Symbol.asyncIterator]();
    this.#where = where;
  }

  async read(into: Uint8Array): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const part = await this.#take(into.length - done);
      into.set(part, done);
      done += part.length;
    }
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) left -= (await this.#take(left)).length;
  }

  async end(): Promise<void> {
    if (await this.#refill()) throw moreFollows(this.#where);
  }

  /** Does not wait: a read that blocks on a pipe ends when the owner of the stream destroys it. */
  async close(): Promise<void> {
    this.#chunks.return?.().catch(() => {});
  }

  /** Between 1 and `count` bytes. */
  async #take(count: number): Promise<Uint8Array> {
    if (!(await this.#refill())) throw endsTooSoon(this.#where);
    const part = this.#chunk.subarray(0, count);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  /** Makes `#chunk` non-empty. Returns false at the end of the stream. */
  async #refill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next().catch((cause) => {
        throw unreadable(this.#where, cause);
      });
      if (next.done) return false;
      this.#chunk = next.value;
    }
    return true;
  }
}

function endsTooSoon(where: string): TandemError {
  return new TandemError(
    'TANDEM_INPUT_CHANGED',
    `${where} ended before its last row: it was truncated while it was read`,
    {
      remedy: 'wait until the program that writes it has ended, then run again',
    },
  );
}

export function unreadable(where: string, cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TandemError('TANDEM_INPUT_CHANGED', `${where} can no longer be read: ${reason}`, {
    remedy: 'check the disk or the program that it comes from, then run again',
    cause,
  });
}

function moreFollows(where: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `${where} has more bytes after its last row`, {
    remedy: 'save one array in each file: np.save(FILE, array)',
  });
}
