/**
 * Writes a ZIP file of stored members. The same contents give the same bytes: dates are fixed, no system is named. ZIP64 is used only for large sizes.
 * Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.
 */

import type { PartialFile } from '../partial-file.js';
import {
  CENTRAL_BYTES,
  CENTRAL_SIGNATURE,
  END_BYTES,
  END_SIGNATURE,
  END64_BYTES,
  END64_SIGNATURE,
  LOCAL_BYTES,
  LOCAL_SIGNATURE,
  LOCATOR64_BYTES,
  LOCATOR64_SIGNATURE,
  MAX16,
  MAX32,
  ZIP64_TAG,
} from './zip-format.js';

/** 1 January 1980, the earliest date of the ZIP format. */
const DOS_DATE = 0x21;
/** Version 2.0 of the format for plain members, 4.5 for ZIP64. */
const VERSION = { plain: 20, zip64: 45 };
/** Flag bit 11: the name is UTF-8. */
const UTF8_NAME = 1 << 11;

/** A member that has been written. Plain data. */
export interface ZipEntry {
  readonly name: string;
  readonly size: number;
  readonly crc: number;
  /** Offset of its local header in the file. */
  readonly offset: number;
}

export class ZipWriter {
  readonly #file: PartialFile;
  readonly #zip64From: number;
  readonly #entries: ZipEntry[];

  /** `entries` are the members already in the file. `zip64From` is the smallest number that needs a ZIP64 field; tests lower it. */
  constructor(file: PartialFile, entries: readonly ZipEntry[] = [], zip64From = MAX32) {
    this.#file = file;
    this.#entries = [...entries];
    this.#zip64From = zip64From;
  }

  get entries(): readonly ZipEntry[] {
    return this.#entries;
  }

  /** Add a member of `size` bytes with checksum `crc`, which `write` writes. */
  async add(name: string, size: number, crc: number, write: () => Promise<void>): Promise<void> {
    const entry = { name, size, crc, offset: this.#file.size };
    await this.#file.write(this.#localHeader(entry));
    await write();
    this.#entries.push(entry);
  }

  /** Adds a member whose bytes are already in the file, after the header that `headerOf` returns for it. */
  addWritten(entry: ZipEntry): void {
    this.#entries.push(entry);
  }

  /** The local header of a member that may still grow. Its length does not depend on the size. */
  headerOf(entry: ZipEntry): Buffer {
    return this.#localHeader(entry, true);
  }

  /** Writes the central directory, which ends the file. */
  async end(): Promise<void> {
    await this.#file.write(this.tableOf(this.#entries));
  }

  /** The central directory of `entries` at the current end of the file. */
  tableOf(entries: readonly ZipEntry[]): Buffer {
    const table = Buffer.concat(entries.map((entry) => this.#centralHeader(entry)));
    return Buffer.concat([table, this.#endRecords(this.#file.size, table.length, entries.length)]);
  }

  #localHeader({ name: text, size, crc }: ZipEntry, long = size >= this.#zip64From): Buffer {
    const name = Buffer.from(text);
    const extra = long ? zip64Extra([size, size]) : Buffer.alloc(0);
    const header = Buffer.alloc(LOCAL_BYTES);
    header.writeUInt32LE(LOCAL_SIGNATURE, 0);
    header.writeUInt16LE(long ? VERSION.zip64 : VERSION.plain, 4);
    header.writeUInt16LE(UTF8_NAME, 6);
    header.writeUInt16LE(DOS_DATE, 12);
    header.writeUInt32LE(crc, 14);
    header.writeUInt32LE(long ? MAX32 : size, 18);
    header.writeUInt32LE(long ? MAX32 : size, 22);
    header.writeUInt16LE(name.length, 26);
    header.writeUInt16LE(extra.length, 28);
    return Buffer.concat([header, name, extra]);
  }

  #centralHeader({ name: text, size, crc, offset }: ZipEntry): Buffer {
    const name = Buffer.from(text);
    const longSize = size >= this.#zip64From;
    const longOffset = offset >= this.#zip64From;
    const long = longSize || longOffset;
    const extra = long
      ? zip64Extra([...(longSize ? [size, size] : []), ...(longOffset ? [offset] : [])])
      : Buffer.alloc(0);
    const header = Buffer.alloc(CENTRAL_BYTES);
    header.writeUInt32LE(CENTRAL_SIGNATURE, 0);
    header.writeUInt16LE(long ? VERSION.zip64 : VERSION.plain, 4);
    header.writeUInt16LE(long ? VERSION.zip64 : VERSION.plain, 6);
    header.writeUInt16LE(UTF8_NAME, 8);
    header.writeUInt16LE(DOS_DATE, 14);
    header.writeUInt32LE(crc, 16);
    header.writeUInt32LE(longSize ? MAX32 : size, 20);
    header.writeUInt32LE(longSize ? MAX32 : size, 24);
    header.writeUInt16LE(name.length, 28);
    header.writeUInt16LE(extra.length, 30);
    header.writeUInt32LE(longOffset ? MAX32 : offset, 42);
    return Buffer.concat([header, name, extra]);
  }

  #endRecords(offset: number, bytes: number, members: number): Buffer {
    const long = offset + bytes >= this.#zip64From || members >= MAX16;
    const end = Buffer.alloc(END_BYTES);
    end.writeUInt32LE(END_SIGNATURE, 0);
    end.writeUInt16LE(long ? MAX16 : members, 8);
    end.writeUInt16LE(long ? MAX16 : members, 10);
    end.writeUInt32LE(long ? MAX32 : bytes, 12);
    end.writeUInt32LE(long ? MAX32 : offset, 16);
    return long ? Buffer.concat([end64Records(offset, bytes, members), end]) : end;
  }
}

/** The ZIP64 end record, followed by the locator with its offset. */
function end64Records(offset: number, bytes: number, members: number): Buffer {
  const end = Buffer.alloc(END64_BYTES);
  end.writeUInt32LE(END64_SIGNATURE, 0);
  end.writeBigUInt64LE(BigInt(END64_BYTES - 12), 4);
  end.writeUInt16LE(VERSION.zip64, 12);
  end.writeUInt16LE(VERSION.zip64, 14);
  end.writeBigUInt64LE(BigInt(members), 24);
  end.writeBigUInt64LE(BigInt(members), 32);
  end.writeBigUInt64LE(BigInt(bytes), 40);
  end.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(LOCATOR64_BYTES);
  locator.writeUInt32LE(LOCATOR64_SIGNATURE, 0);
  locator.writeBigUInt64LE(BigInt(offset + bytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([end, locator]);
}

function zip64Extra(values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + 8 * values.length);
  extra.writeUInt16LE(ZIP64_TAG, 0);
  extra.writeUInt16LE(8 * values.length, 2);
  for (const [n, value] of values.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + 8 * n);
  return extra;
}
