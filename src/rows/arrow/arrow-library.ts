/** Loads apache-arrow when the first table needs it, with the codecs of compressed files, which it has not. */
import { checkRowPackages, rowPackagesError } from '../row-packages.js';
import { soundZstd } from '../zstd.js';

export type Arrow = typeof import('apache-arrow');

/** Bytes that one batch may unpack to: more is a damaged file or an attack. */
const MOST_BYTES = 2 ** 30;
/** Bytes that may still be unpacked. */
let left = 0;

let library: Promise<Arrow> | null = null;

/** Without all of the packages no table is read or written. Throws TANDEM_PACKAGE_MISSING. */
export function arrowLibrary(): Promise<Arrow> {
  library ??= load();
  return library;
}

/** To be called before each batch. */
export function allowUnpacking(): void {
  left = MOST_BYTES;
}

function tooMuch(): Error {
  return new Error(`a batch unpacks to more than ${MOST_BYTES} bytes`);
}

function counted(unpacked: Uint8Array): Uint8Array {
  left -= unpacked.length;
  if (left < 0) throw tooMuch();
  return unpacked;
}

async function load(): Promise<Arrow> {
  checkRowPackages('tables');
  const packages = Promise.all([import('apache-arrow'), import('lz4js')]);
  const [arrow, { default: lz4 }] = await packages.catch((cause) => {
    throw rowPackagesError('tables', cause);
  });
  arrow.compressionRegistry.set(arrow.CompressionType.LZ4_FRAME, {
    decode: (packed) => {
      if (!(lz4.decompressBound(packed) <= left)) throw tooMuch();
      return counted(new Uint8Array(lz4.decompress(packed)));
    },
  });
  arrow.compressionRegistry.set(arrow.CompressionType.ZSTD, { decode: await zstdDecoder() });
  return arrow;
}

type ZstdSync = NonNullable<ReturnType<typeof soundZstd>>['zstdDecompressSync'];

function unpackedBy(zstd: ZstdSync, packed: Uint8Array): Uint8Array {
  try {
    // Numbers are read where they lie, so each column has aligned memory of its own.
    return new Uint8Array(zstd(packed, { maxOutputLength: Math.max(1, left) }));
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? tooMuch() : error;
  }
}

async function zstdDecoder(): Promise<(packed: Uint8Array) => Uint8Array> {
  const own = soundZstd();
  if (own) return (packed) => counted(unpackedBy(own.zstdDecompressSync, packed));
  const { Decompress } = await import('fzstd');
  return (packed) => {
    const parts: Uint8Array[] = [];
    new Decompress((part) => parts.push(counted(part))).push(packed, true);
    return new Uint8Array(Buffer.concat(parts));
  };
}
