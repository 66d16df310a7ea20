/** Zip archives laid out byte by byte as the specification says, whole and damaged. */
import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipPart {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflate?: boolean;
  /** Sizes and offset in ZIP64 fields although they would fit, as streaming writers do. */
  readonly zip64?: boolean;
  /** Overrides for damaged archives. */
  readonly crc?: number;
  readonly size?: number;
  readonly flags?: number;
  readonly method?: number;
}

/** A zip archive of `parts`; with `zip64` in any of them, also a ZIP64 end record. */
export function zipBytes(parts: readonly ZipPart[], comment = ''): Buffer {
  const blocks: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const part of parts) {
    const packed = part.deflate ? deflateRawSync(part.data) : Buffer.from(part.data);
    const name = Buffer.from(part.name);
    const facts = {
      method: part.method ?? (part.deflate ? 8 : 0),
      flags: part.flags ?? 0,
      crc: part.crc ?? crc32(part.data),
      size: part.size ?? part.data.length,
      packed: packed.length,
      offset,
    };
    // The local extra field is made longer than the central one, so that a reader must look at it.
    const block = Buffer.concat([localHeader(name, facts), name, Buffer.from([0xfe, 0xca, 3, 0, 1, 2, 3]), packed]);
    central.push(centralHeader(name, facts, part.zip64 ?? false));
    blocks.push(block);
    offset += block.length;
  }
  const table = Buffer.concat(central);
  const zip64 = parts.some((part) => part.zip64);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(zip64 ? 0xffff : parts.length, 8);
  end.writeUInt16LE(zip64 ? 0xffff : parts.length, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : table.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  end.writeUInt16LE(comment.length, 20);
  const end64 = zip64 ? end64Records(parts.length, table.length, offset) : Buffer.alloc(0);
  return Buffer.concat([...blocks, table, end64, end, Buffer.from(comment)]);
}

interface Facts {
  readonly method: number;
  readonly flags: number;
  readonly crc: number;
  readonly size: number;
  readonly packed: number;
  readonly offset: number;
}

function localHeader(name: Buffer, { method, flags, crc, size, packed }: Facts): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt32LE(crc, 14);
  header.writeUInt32LE(packed, 18);
  header.writeUInt32LE(size, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(7, 28);
  return header;
}

function centralHeader(name: Buffer, { method, flags, crc, size, packed, offset }: Facts, zip64: boolean): Buffer {
  const extra = zip64 ? Buffer.alloc(28) : Buffer.alloc(0);
  if (zip64) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(24, 2);
    for (const [n, value] of [size, packed, offset].entries()) extra.writeBigUInt64LE(BigInt(value), 4 + 8 * n);
  }
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(20, 6);
  header.writeUInt16LE(flags, 8);
  header.writeUInt16LE(method, 10);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(zip64 ? 0xffffffff : packed, 20);
  header.writeUInt32LE(zip64 ? 0xffffffff : size, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt32LE(zip64 ? 0xffffffff : offset, 42);
  return Buffer.concat([header, name, extra]);
}

function end64Records(members: number, bytes: number, offset: number): Buffer {
  const end = Buffer.alloc(56);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeBigUInt64LE(BigInt(members), 24);
  end.writeBigUInt64LE(BigInt(members), 32);
  end.writeBigUInt64LE(BigInt(bytes), 40);
  end.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + bytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([end, locator]);
}
