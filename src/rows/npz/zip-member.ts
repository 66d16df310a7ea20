/** The bytes of one zip member: stored ones read by range where they lie, deflated ones unpacked as they stream, both held to their checksum. */
import type { FileHandle } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createInflateRaw } from 'node:zlib';
import { crc32 } from '../../crc32.js';
import { type ByteReader, chunksOf, FileRange, StreamBytes } from '../byte-reader.js';
import { invalid, type ZipMember } from './zip-directory.js';

/** Packed bytes that are read at once, and unpacked bytes that come at once. */
const CHUNK = 1 << 18;

/** The unpacked bytes of `member` of the zip file `path`, which stays open for its owner. Throws TANDEM_INPUT_INVALID. */
export async function openZipMember(handle: FileHandle, path: string, member: ZipMember): Promise<ByteReader> {
  const label = `${path} (${member.name})`;
  const from = await member.begin();
  const packed = new FileRange(handle, label, from, from + member.packedSize);
  const bytes = member.method === 'stored' ? packed : new StreamBytes(inflate(packed, path, member.name), label);
  return new CheckedMember(bytes, path, member);
}

async function* inflate(packed: FileRange, path: string, name: string): AsyncGenerator<Uint8Array> {
  const inflater = createInflateRaw({ chunkSize: CHUNK });
  // The callback gets the error that the iteration below throws anyway.
  pipeline(Readable.from(chunksOf(packed, CHUNK)), inflater, () => {});
  try {
    yield* inflater;
  } catch (error) {
    const isZlib = (error as NodeJS.ErrnoException).code?.startsWith('Z_');
    throw isZlib ? invalid(path, `${name} is damaged (${(error as Error).message})`) : error;
  }
}

/** Counts and sums what is read; the sum is checked at the end, unless rows were passed over. */
class CheckedMember implements ByteReader {
  readonly #bytes: ByteReader;
  readonly #path: string;
  readonly #member: ZipMember;
  #left: number;
  #crc: number | null = 0;

  constructor(bytes: ByteReader, path: string, member: ZipMember) {
    this.#bytes = bytes;
    this.#path = path;
    this.#member = member;
    this.#left = member.size;
  }

  get left(): number {
    return this.#left;
  }

  async read(into: Uint8Array): Promise<void> {
    await this.#bytes.read(into);
    this.#left -= into.length;
    if (this.#crc !== null) this.#crc = crc32(into, this.#crc);
  }

  async skip(bytes: number): Promise<void> {
    await this.#bytes.skip(bytes);
    this.#left -= bytes;
    this.#crc = null;
  }

  async end(): Promise<void> {
    await this.#bytes.end();
    if (this.#crc !== null && this.#crc !== this.#member.crc) {
      throw invalid(this.#path, `${this.#member.name} is damaged (its checksum is wrong)`);
    }
  }

  async close(): Promise<void> {
    await this.#bytes.close();
  }
}
