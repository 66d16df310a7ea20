/**
 * The table of contents of a zip file, read from its end; members are then read by range, so the archive itself is never loaded.
 * Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 (records) and 4.5.3 (ZIP64).
 */
import type { FileHandle } from 'node:fs/promises';
import { TandemError } from '../../errors.js';
import { FileRange } from './byte-reader.js';

export interface ZipMember {
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly crc: number;
  /** Bytes in the archive. */
  readonly packedSize: number;
  /** Bytes when unpacked. */
  readonly size: number;
  /** Where its local header starts. */
  readonly headerOffset: number;
}

export const LOCAL_SIGNATURE = 0x04034b50;
export const CENTRAL_SIGNATURE = 0x02014b50;
export const END_SIGNATURE = 0x06054b50;
export const END64_SIGNATURE = 0x06064b50;
export const LOCATOR64_SIGNATURE = 0x07064b50;
/** Fields of 16 and 32 bits that are all ones say: look into the ZIP64 extra field. */
export const MAX16 = 0xffff;
export const MAX32 = 0xffffffff;
/** Tag of the ZIP64 extra field. */
export const ZIP64_TAG = 1;

export const END_BYTES = 22;
export const LOCATOR64_BYTES = 20;
export const END64_BYTES = 56;
export const CENTRAL_BYTES = 46;
export const LOCAL_BYTES = 30;

/** More than any model has inputs; both bound what a hostile archive can make us hold. */
const MAX_MEMBERS = 10_000;
const MAX_DIRECTORY_BYTES = 16 << 20;
/** Deflate cannot pack better than this (1032 bytes in one): a member that claims to lies about its size. */
const MAX_RATIO = 1032;

interface Directory {
  readonly members: number;
  readonly offset: number;
  readonly bytes: number;
}

/** The members of the zip file `path`, opened as `handle`, of `size` bytes. Throws TANDEM_INPUT_INVALID for what is no plain zip. */
export async function readZipDirectory(handle: FileHandle, path: string, size: number): Promise<ZipMember[]> {
  const read = async (from: number, bytes: number): Promise<Buffer> => {
    const buffer = Buffer.alloc(bytes);
    await new FileRange(handle, path, from, size).read(buffer);
    return buffer;
  };
  const { members, offset, bytes } = await findDirectory(read, path, size);
  if (members > MAX_MEMBERS || bytes > MAX_DIRECTORY_BYTES || offset + bytes > size) {
    throw invalid(path, `its table of contents claims ${members} members in ${bytes} bytes`);
  }
  const table = await read(offset, bytes);
  const found: ZipMember[] = [];
  for (let n = 0, at = 0; n < members; n++) {
    const { member, end } = readCentralHeader(table, at, path);
    checkMember(member, offset, path);
    found.push(member);
    at = end;
  }
  return found;
}

type ReadAt = (from: number, bytes: number) => Promise<Buffer>;

/** The end record is the last thing in the file but for a comment, whose length it tells. */
async function findDirectory(read: ReadAt, path: string, size: number): Promise<Directory> {
  const tailBytes = Math.min(size, END_BYTES + MAX16 + LOCATOR64_BYTES);
  const tail = await read(size - tailBytes, tailBytes);
  for (let at = tailBytes - END_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== END_SIGNATURE || at + END_BYTES + tail.readUInt16LE(at + 20) !== tailBytes) continue;
    const locator = at - LOCATOR64_BYTES;
    if (locator >= 0 && tail.readUInt32LE(locator) === LOCATOR64_SIGNATURE) {
      return readEnd64(read, path, size, readSize(tail, locator + 8, path));
    }
    if (tail.readUInt16LE(at + 4) !== 0) throw invalid(path, 'it is a part of a divided archive');
    return {
      members: tail.readUInt16LE(at + 10),
      bytes: tail.readUInt32LE(at + 12),
      offset: tail.readUInt32LE(at + 16),
    };
  }
  throw invalid(path, 'it is no zip archive, or was cut short');
}

async function readEnd64(read: ReadAt, path: string, size: number, offset: number): Promise<Directory> {
  if (offset + END64_BYTES > size) throw invalid(path, 'its ZIP64 record lies outside the file');
  const end = await read(offset, END64_BYTES);
  if (end.readUInt32LE(0) !== END64_SIGNATURE) throw invalid(path, 'its ZIP64 record is damaged');
  return { members: readSize(end, 32, path), bytes: readSize(end, 40, path), offset: readSize(end, 48, path) };
}

function readCentralHeader(table: Buffer, at: number, path: string): { member: ZipMember; end: number } {
  if (at + CENTRAL_BYTES > table.length || table.readUInt32LE(at) !== CENTRAL_SIGNATURE) {
    throw invalid(path, 'its table of contents is damaged');
  }
  const nameEnd = at + CENTRAL_BYTES + table.readUInt16LE(at + 28);
  const extraEnd = nameEnd + table.readUInt16LE(at + 30);
  const end = extraEnd + table.readUInt16LE(at + 32);
  if (end > table.length) throw invalid(path, 'its table of contents is damaged');
  const name = table.toString('utf8', at + CENTRAL_BYTES, nameEnd);
  if (table.readUInt16LE(at + 8) & 1) throw invalid(path, `${name} is encrypted`);
  const [size, packedSize, headerOffset] = readSizes(table, at, table.subarray(nameEnd, extraEnd), path);
  const method = methodOf(table.readUInt16LE(at + 10), name, path);
  return { member: { name, method, crc: table.readUInt32LE(at + 16), size, packedSize, headerOffset }, end };
}

function methodOf(code: number, name: string, path: string): ZipMember['method'] {
  if (code === 0) return 'stored';
  if (code === 8) return 'deflated';
  throw invalid(path, `${name} is packed by method ${code}, not stored or deflated`);
}

/** Size, packed size and offset: the ZIP64 field holds, in this order, those that do not fit into 32 bits. */
function readSizes(table: Buffer, at: number, extra: Buffer, path: string): [number, number, number] {
  const short = [table.readUInt32LE(at + 24), table.readUInt32LE(at + 20), table.readUInt32LE(at + 42)];
  const long = zip64Field(extra, path);
  let next = 0;
  const sizes = short.map((value) => {
    if (value !== MAX32) return value;
    if (next + 8 > long.length) throw invalid(path, 'a ZIP64 size is missing');
    next += 8;
    return readSize(long, next - 8, path);
  });
  return sizes as [number, number, number];
}

function zip64Field(extra: Buffer, path: string): Buffer {
  for (let at = 0; at + 4 <= extra.length; ) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (end > extra.length) throw invalid(path, 'an extra field is damaged');
    if (extra.readUInt16LE(at) === ZIP64_TAG) return extra.subarray(at + 4, end);
    at = end;
  }
  return Buffer.alloc(0);
}

function readSize(buffer: Buffer, at: number, path: string): number {
  const value = Number(buffer.readBigUInt64LE(at));
  if (!Number.isSafeInteger(value)) throw invalid(path, 'a ZIP64 size is damaged');
  return value;
}

function checkMember(
  { name, method, size, packedSize, headerOffset }: ZipMember,
  directory: number,
  path: string,
): void {
  if (headerOffset + LOCAL_BYTES + packedSize > directory) throw invalid(path, `${name} lies outside the archive`);
  if (method === 'stored' && size !== packedSize) throw invalid(path, `${name} is stored, yet changes its size`);
  if (method === 'deflated' && size > packedSize * MAX_RATIO) {
    throw invalid(path, `${name} claims to unpack ${packedSize} bytes to ${size}, more than deflate can`);
  }
}

export function invalid(path: string, problem: string): TandemError {
  return new TandemError('TANDEM_INPUT_INVALID', `${path} cannot be read as NPZ: ${problem}`, {
    remedy: 'write it again with np.savez(FILE, name=array), or copy it whole',
  });
}
