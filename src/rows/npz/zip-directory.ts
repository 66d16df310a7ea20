/** The table of contents of a zip file, by yauzl; members are then read by range, so the archive itself is never loaded. */
import type { FileHandle } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Entry, RandomAccessReader, ZipFile } from 'yauzl';
import { TandemError } from '../../errors.js';
import { FileRange } from '../byte-reader.js';

export interface ZipMember {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly crc: number;
  /** Bytes in the archive. */
  readonly packedSize: number;
  /** Bytes when unpacked. */
  readonly size: number;
  /** Where its packed bytes begin. Throws TANDEM_INPUT_INVALID. */
  readonly begin: () => Promise<number>;
}

/** More than any model has inputs; both bound what a hostile archive can make us hold. */
const MAX_MEMBERS = 10_000;
const MAX_NAME_BYTES = 16 << 20;
/** Deflate cannot pack better than this (1032 bytes in one): a member that claims to lies about its size. */
const MAX_RATIO = 1032;
/** Bytes that are read at once. */
const WINDOW = 1 << 16;
/** Of the header that stands before a member's bytes, its name apart. */
const LOCAL_BYTES = 30;

/** The members of the zip file `path`, opened as `handle`, of `size` bytes. Throws TANDEM_INPUT_INVALID for what is no plain zip. */
export async function readZipDirectory(handle: FileHandle, path: string, size: number): Promise<ZipMember[]> {
  const yauzl = createRequire(import.meta.url)('yauzl') as typeof import('yauzl');
  const coded = <T>(step: Promise<T>) => step.catch((cause) => Promise.reject(asInvalid(path, cause)));
  const options = { autoClose: false, lazyEntries: true, decodeStrings: false, validateEntrySizes: false };
  const reader = readerOf(yauzl, handle, path, size);
  const zip = await coded(yauzl.fromRandomAccessReaderPromise(reader, size, options));
  if (zip.entryCount > MAX_MEMBERS) throw invalid(path, `its table of contents claims ${zip.entryCount} members`);
  const found: ZipMember[] = [];
  let nameBytes = 0;
  for (const entries = zip.eachEntry(); ; ) {
    const { done, value } = await coded(entries.next());
    if (done) return found;
    nameBytes += value.fileNameRaw.length;
    if (nameBytes > MAX_NAME_BYTES) throw invalid(path, 'the names in its table of contents are too long');
    found.push(memberOf(value, zip, path, size));
  }
}

/**
 * yauzl hands on whatever position an archive names; one outside the file must not reach the system, which throws where nobody catches it.
 * It asks for two pieces of each member, which come out of larger ones.
 */
function readerOf(yauzl: typeof import('yauzl'), handle: FileHandle, path: string, size: number): RandomAccessReader {
  let from = 0;
  let window = Buffer.alloc(0);
  const isHere = (position: number, length: number) => position >= from && position + length <= from + window.length;
  const look = async (position: number, length: number) => {
    const next = Buffer.alloc(Math.min(Math.max(length, WINDOW), size - position));
    await new FileRange(handle, path, position, size).read(next);
    [from, window] = [position, next];
  };
  class Reader extends yauzl.RandomAccessReader {
    override read(into: Buffer, offset: number, length: number, position: number, done: (error: Error | null) => void) {
      const isInside = position >= 0 && position + length <= size;
      if (!isInside) return done(invalid(path, 'it was cut short, or points outside itself'));
      const give = () => {
        window.copy(into, offset, position - from, position - from + length);
        done(null);
      };
      if (isHere(position, length)) give();
      else look(position, length).then(give, done);
    }
  }
  return new Reader();
}

function memberOf(entry: Entry, zip: ZipFile, path: string, fileSize: number): ZipMember {
  const { crc32: crc, compressedSize: packedSize, uncompressedSize: size, relativeOffsetOfLocalHeader: header } = entry;
  const name = entry.fileNameRaw.toString('utf8');
  if (entry.isEncrypted()) throw invalid(path, `${name} is encrypted`);
  const method = methodOf(entry.compressionMethod, name, path);
  if (header + LOCAL_BYTES + packedSize > fileSize) throw invalid(path, `${name} lies outside the archive`);
  if (method === 'stored' && size !== packedSize) throw invalid(path, `${name} is stored, yet changes its size`);
  if (method === 'deflated' && size > packedSize * MAX_RATIO) {
    throw invalid(path, `${name} claims to unpack ${packedSize} bytes to ${size}, more than deflate can`);
  }
  const begin = () =>
    zip.readLocalFileHeaderPromise(entry, { minimal: true }).then(
      ({ fileDataStart }) => fileDataStart,
      (cause) => Promise.reject(asInvalid(path, cause)),
    );
  return { name, method, crc, packedSize, size, begin };
}

function methodOf(code: number, name: string, path: string): ZipMember['method'] {
  if (code === 0) return 'stored';
  if (code === 8) return 'deflated';
  throw invalid(path, `${name} is packed by method ${code}, not stored or deflated`);
}

export function invalid(path: string, problem: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `${path} cannot be read as NPZ: ${problem}`, {
    remedy: 'write it again with np.savez(FILE, name=array), or copy it whole',
  });
}

function asInvalid(path: string, cause: unknown): TandemError {
  if (cause instanceof TandemError) return cause;
  const { message } = cause as Error;
  return invalid(path, /^End of central directory/.test(message) ? 'it is no zip archive, or was cut short' : message);
}
