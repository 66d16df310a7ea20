/** Node's own zstd, where it can be relied on. */
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';

interface Zstd {
  createZstdDecompress(options: { readonly chunkSize: number }): Transform;
  zstdDecompressSync(packed: Uint8Array, options?: { readonly maxOutputLength: number }): Uint8Array;
}

/** "hello" without its last byte. */
const CUT_SHORT = Buffer.from('KLUv/SAFKQAAaGVsbA==', 'base64');

/** `null` where Node has none, or one that takes a frame that was cut short for a whole one: Node 22.15 to 23 lose its rest without an error. */
export function soundZstd(): Zstd | null {
  const own = zlib as typeof zlib & Partial<Zstd>;
  if (!own.zstdDecompressSync) return null;
  try {
    own.zstdDecompressSync(CUT_SHORT);
    return null;
  } catch {
    return own as Zstd;
  }
}
