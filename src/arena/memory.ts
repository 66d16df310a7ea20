/** Where the arena's bytes lie: one page-aligned SharedArrayBuffer. */
import { TandemError } from '../errors.js';

/**
 * Shared memory of `bytes` whose first byte is page-aligned.
 *
 * A plain SharedArrayBuffer comes from calloc and starts 16 bytes past a 64-byte boundary, and then TensorFlow copies every
 * tensor that it is given (measured for 32 MiB: 21 ms against 0.2 ms). A growable one comes from the page allocator, so it
 * is made growable and never grown. Throws TANDEM_OUT_OF_MEMORY.
 */
export function sharedMemory(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes, { maxByteLength: bytes });
  } catch (cause) {
    throw new TandemError(
      'TANDEM_OUT_OF_MEMORY',
      `the arena needs ${bytes} bytes of shared memory, which cannot be had`,
      {
        remedy: 'lower --micro-batch or --depth',
        cause,
      },
    );
  }
}
